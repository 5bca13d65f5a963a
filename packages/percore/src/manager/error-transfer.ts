import { WalError, type WalErrorCode } from '@walstack/codec';

/** An error in a form that can be sent to another thread: sent as it is, it would lose its class and its code. */
export interface TransferredError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  /** The facts of a `WalError`; `undefined` for any other. */
  readonly facts: Readonly<Record<string, string | number>> | undefined;
}

/** Converts a thrown value of any kind. Never throws. */
export function errorToTransfer(error: unknown): TransferredError {
  try {
    if (!(error instanceof Error))
      return otherThrown(textOf(() => String(error)) ?? 'a value that cannot be converted to text');
    const known = WalError.is(error);
    return {
      name: textOf(() => error.name) ?? 'Error',
      message: textOf(() => error.message) ?? '',
      stack: textOf(() => error.stack),
      code: textOf(() => (error as { code?: unknown }).code),
      facts: known ? factsOf(error) : undefined,
    };
  } catch {
    // A proxy can throw even from instanceof.
    return otherThrown('a value that cannot be inspected');
  }
}

const otherThrown = (message: string): TransferredError => ({
  name: 'Error',
  message,
  stack: undefined,
  code: undefined,
  facts: undefined,
});

/** The value of a property; `undefined` when it is not a string, or when reading it throws. */
function textOf(read: () => unknown): string | undefined {
  try {
    const value = read();
    return typeof value === 'string' ? value : undefined;
  } catch {
    return undefined;
  }
}

function factsOf(error: WalError): Record<string, string | number> {
  const known = Object.entries(error).filter(
    ([name, value]) => !STANDARD.has(name) && (typeof value === 'string' || typeof value === 'number'),
  );
  return Object.fromEntries(known) as Record<string, string | number>;
}

const STANDARD = new Set(['name', 'code', 'message', 'stack']);

/** Restores an error. The stack is that of the other thread. */
export function errorFromTransfer({ name, message, stack, code, facts }: TransferredError): Error {
  // The code was read from a `WalError`, so it is one of its codes.
  const error = facts === undefined ? new Error(message) : new WalError(code as WalErrorCode, message, facts);
  if (stack !== undefined) error.stack = stack;
  if (facts !== undefined) return error;
  for (const [key, value] of Object.entries({ name, ...(code === undefined ? {} : { code }) })) {
    Object.defineProperty(error, key, { value, configurable: true, enumerable: true, writable: true });
  }
  return error;
}
