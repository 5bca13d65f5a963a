import { WalError } from '@walstack/codec';
import { aborted } from '@walstack/storage-io/internal';

/**
 * Makes a call whose streams are closed when a signal is aborted, so that what waits for a server ends at once.
 *
 * @param what - the message of the error
 * @throws `WAL_ABORTED` in place of what such a call throws when its signal is aborted
 */
export async function endedBy<T>(signal: AbortSignal | undefined, what: string, call: () => Promise<T>): Promise<T> {
  const throwIfAborted = (): void => {
    if (signal?.aborted === true) throw aborted(signal, what);
  };
  throwIfAborted();
  try {
    return await call();
  } catch (error) {
    // Anything else is an error of the application.
    if (WalError.is(error)) throwIfAborted();
    throw error;
  }
}
