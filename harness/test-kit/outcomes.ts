import type { WalError } from '@walstack/codec';

/** What a promise is rejected with. */
export async function rejection(promise: Promise<unknown>): Promise<WalError> {
  try {
    await promise;
  } catch (error) {
    return error as WalError;
  }
  throw new Error('it was not rejected');
}

/** What a call throws. */
export function thrown(call: () => unknown): WalError {
  try {
    call();
  } catch (error) {
    return error as WalError;
  }
  throw new Error('nothing was thrown');
}
