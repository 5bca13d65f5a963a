import { JetStreamApiError, JetStreamError } from '@nats-io/jetstream';
import { errors } from '@nats-io/nats-core';
import { WalError, type WalErrorCode } from '@walstack/codec';

/** A code of the server, and what it means here. */
interface Meaning {
  readonly code: WalErrorCode;
  readonly reason: string;
  readonly next: string;
}

/** By the server's `err_code`. */
const BY_NUMBER: Readonly<Record<number, Meaning>> = {
  10023: { code: 'WAL_NO_SPACE', reason: 'resources', next: 'the server has no room: give it more' },
  10047: { code: 'WAL_NO_SPACE', reason: 'storage', next: 'the server has no room for the stream: give it more' },
  10039: { code: 'WAL_UNSUPPORTED', reason: 'no-jetstream', next: 'turn JetStream on for the account' },
  10076: { code: 'WAL_UNSUPPORTED', reason: 'no-jetstream', next: 'turn JetStream on in the server' },
  10054: { code: 'WAL_TOO_LARGE', reason: 'message', next: 'raise max_msg_size of the stream' },
  10059: { code: 'WAL_NOT_FOUND', reason: 'stream', next: 'create it, or ship with the option create' },
  10071: { code: 'WAL_STATE', reason: 'sequence', next: 'the stream has other messages than were known' },
  10077: { code: 'WAL_NO_SPACE', reason: 'full', next: 'the stream is full: raise its limits' },
  10008: { code: 'WAL_TIMEOUT', reason: 'no-leader', next: 'a quorum of the cluster has to be there' },
};

/** Texts of the server that have no code of their own. */
const BY_TEXT: readonly (readonly [RegExp, Meaning])[] = [
  [/maximum (messages|bytes)/, BY_NUMBER[10077] as Meaning],
  [/message size exceeds/, BY_NUMBER[10054] as Meaning],
];

/**
 * An error of the client or the server as a `WalError`, with the facts of it.
 *
 * @param stream - the name of the stream
 * @param operation - what was done
 */
export function streamError(error: unknown, stream: string, operation: string): WalError {
  if (WalError.is(error)) return error;
  const meaning = meaningOf(error);
  const text = error instanceof Error ? error.message : String(error);
  return new WalError(
    meaning.code,
    `${operation} of the stream ${stream}: ${text}; ${meaning.next}`,
    { path: stream, operation, reason: meaning.reason },
    { cause: error },
  );
}

function meaningOf(error: unknown): Meaning {
  if (error instanceof JetStreamApiError) {
    const known = BY_NUMBER[error.code] ?? BY_TEXT.find(([text]) => text.test(error.message))?.[1];
    return known ?? { code: 'WAL_IO_FAILED', reason: 'server', next: 'the server has refused it' };
  }
  if (isOfKind(error, errors.TimeoutError)) {
    return { code: 'WAL_TIMEOUT', reason: 'timeout', next: 'the server has not answered in time' };
  }
  if (isOfKind(error, errors.AuthorizationError) || isOfKind(error, errors.UserAuthenticationExpiredError)) {
    return { code: 'WAL_IO_FAILED', reason: 'authorization', next: 'check the credentials' };
  }
  if (isOfKind(error, errors.PermissionViolationError)) {
    return {
      code: 'WAL_IO_FAILED',
      reason: 'permissions',
      next: 'allow the user to publish and to use the API of JetStream',
    };
  }
  if (isOfKind(error, errors.NoRespondersError) || error instanceof JetStreamError) {
    return { code: 'WAL_IO_FAILED', reason: 'no-responders', next: 'the stream, or JetStream, is not there' };
  }
  if (isTls(error))
    return { code: 'WAL_IO_FAILED', reason: 'tls', next: 'check the certificates of server and client' };
  return { code: 'WAL_IO_FAILED', reason: 'connection', next: 'the server cannot be reached' };
}

/** Whether an error, or one that has caused it, is of a class. */
function isOfKind(error: unknown, kind: abstract new (...args: never[]) => unknown): boolean {
  for (let each: unknown = error; each instanceof Error; each = each.cause) if (each instanceof kind) return true;
  return false;
}

function isTls(error: unknown): boolean {
  for (let each: unknown = error; each instanceof Error; each = each.cause) {
    const { code = '' } = each as { readonly code?: unknown };
    if (/CERT|TLS|SSL/.test(String(code)) || /certificate|tls|ssl/i.test(each.message)) return true;
  }
  return false;
}
