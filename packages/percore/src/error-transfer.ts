import { WalError, type WalErrorCode } from '@walstack/codec';

/** An error on its way from one thread to another, where it would lose its class and its code. */
export interface TransferredError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | undefined;
  /** The facts of a `WalError`; `undefined` for any other. */
  readonly facts: Readonly<Record<string, string | number>> | undefined;
}

/** Takes apart what was thrown. */
export function errorToTransfer(error: unknown): TransferredError {
  if (!(error instanceof Error)) {
    return { name: 'Error', message: String(error), stack: undefined, code: undefined, facts: undefined };
  }
  const { name, message, stack } = error;
  const { code } = error as { code?: unknown };
  return {
    name,
    message,
    stack,
    code: typeof code === 'string' ? code : undefined,
    facts: WalError.is(error) ? factsOf(error) : undefined,
  };
}

function factsOf(error: WalError): Record<string, string | number> {
  const known = Object.entries(error).filter(
    ([name, value]) => !STANDARD.has(name) && (typeof value === 'string' || typeof value === 'number'),
  );
  return Object.fromEntries(known) as Record<string, string | number>;
}

const STANDARD = new Set(['name', 'code', 'message', 'stack']);

/** Puts an error together again. The stack is that of the other thread. */
export function errorFromTransfer({ name, message, stack, code, facts }: TransferredError): Error {
  // The code was taken from a `WalError`: it is one of its codes.
  const error = facts === undefined ? new Error(message) : new WalError(code as WalErrorCode, message, facts);
  if (stack !== undefined) error.stack = stack;
  if (facts === undefined) Object.assign(error, { name }, code === undefined ? {} : { code });
  return error;
}
