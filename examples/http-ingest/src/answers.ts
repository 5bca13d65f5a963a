import { WalError } from '@walstack/wal';

/** What is answered for an error. */
export interface ErrorAnswer {
  readonly status: number;
  readonly body: {
    /** The code of the error. */
    readonly error: string;
    readonly message: string;
    /** `'unknown'`: the event may become durable, or is already. `'rejected'`: it is not in the log. */
    readonly outcome: 'rejected' | 'unknown';
  };
}

/** What is answered where the log is being closed, or is closed. */
const SHUTTING_DOWN = new Set(['WAL_CLOSED', 'WAL_STATE']);

const STATUS: Readonly<Record<string, number>> = {
  WAL_BAD_PAYLOAD: 400,
  WAL_TOO_LARGE: 413,
  WAL_TRUNCATED: 410,
  WAL_NO_SPACE: 507,
};

/** The answer for an error of the log, or of Fastify, whose errors have their status. */
export function answerFor(error: Error & { readonly statusCode?: number; readonly code?: string }): ErrorAnswer {
  if (!WalError.is(error)) {
    const { statusCode = 500, code = 'ERROR', message } = error;
    return { status: statusCode, body: { error: code, message, outcome: 'rejected' } };
  }
  const { code, message, reason } = error;
  const status = STATUS[code] ?? (SHUTTING_DOWN.has(code) ? 503 : 500);
  return {
    status,
    body: { error: code, message, outcome: reason === 'outcome-unknown' ? 'unknown' : 'rejected' },
  };
}
