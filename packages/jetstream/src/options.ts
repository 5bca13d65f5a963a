import type { NatsConnection } from '@nats-io/nats-core';
import type { NodeConnectionOptions } from '@nats-io/transport-node';
import { WalError } from '@walstack/codec';
import { checkInteger, invalidType, outOfRange } from '@walstack/codec/internal';

/** Which stream a log is replicated to, and how its cluster is reached. */
export interface LogStreamOptions {
  /**
   * The servers and credentials, as for `connect` of `@nats-io/transport-node`, or a function that opens a connection. A
   * connection is closed when it is not used any more, and a new one is opened when it is lost.
   */
  readonly connection: NodeConnectionOptions | (() => Promise<NatsConnection>);
  /** The name of the log in the cluster: 1 to 64 letters, digits, `_` and `-`. */
  readonly log: string;
  /** The core, where the log is one of a per-core log. Default: none. */
  readonly core?: number;
  /** The name of the stream. Default `walstack-<log>`, of a core `walstack-<log>-<core>`. */
  readonly stream?: string;
  /** The subject, which only this log may publish to. Default `walstack.<log>`, of a core `walstack.<log>.<core>`. */
  readonly subject?: string;
  /** How long an answer of the server is waited for, in milliseconds. Default 5000. */
  readonly timeoutMs?: number;
}

/** The names in {@link LogStreamOptions}. */
export const STREAM_OPTIONS = ['connection', 'log', 'core', 'stream', 'subject', 'timeoutMs'] as const;

/** The checked {@link LogStreamOptions}. */
export interface StreamSettings {
  readonly connection: LogStreamOptions['connection'];
  readonly stream: string;
  readonly subject: string;
  readonly timeoutMs: number;
  /** Closes the connection when it is aborted. */
  readonly signal?: AbortSignal | undefined;
}

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
const STREAM_NAME = /^[^\s.*>/\\]{1,255}$/;
const SUBJECT = /^[^\s.*>]+(\.[^\s.*>]+)*$/;
const TIMEOUT_MS = 5000;

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkStream(options: LogStreamOptions): StreamSettings {
  const { connection, core, timeoutMs = TIMEOUT_MS } = options;
  const isObject = typeof connection === 'object' && connection !== null;
  if (!isObject && typeof connection !== 'function') {
    throw invalidType('connection', 'options of a connection, or a function that opens one', connection);
  }
  const log = checkName('log', options.log, NAME, '1 to 64 letters, digits, _ and -');
  const parts = core === undefined ? [log] : [log, checkInteger('core', core, 0, 0xffff_fffe)];
  const { stream = ['walstack', ...parts].join('-'), subject = ['walstack', ...parts].join('.') } = options;
  return {
    connection,
    stream: checkName('stream', stream, STREAM_NAME, 'the name of a stream'),
    subject: checkName('subject', subject, SUBJECT, 'a subject without wildcards'),
    timeoutMs: checkInteger('timeoutMs', timeoutMs, 1, 0x7fff_ffff),
  };
}

function checkName(name: string, value: unknown, pattern: RegExp, what: string): string {
  if (typeof value !== 'string') throw invalidType(name, 'a string', value);
  if (!pattern.test(value)) throw outOfRange(name, what, value);
  return value;
}

/** The error for a log that another writer, or another log, has published to. */
export function fenced(stream: string, reason: string, what: string, lsn: number): WalError {
  return new WalError('WAL_FENCED', `the stream ${stream} ${what}: nothing more is published to it`, {
    path: stream,
    lsn,
    reason,
  });
}
