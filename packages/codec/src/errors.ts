/**
 * Every code a {@link WalError} can carry. A code never changes its meaning; new ones may be added.
 *
 * | code | meaning |
 * | --- | --- |
 * | `WAL_ABORTED` | an `AbortSignal` ended the call; `cause` is its reason |
 * | `WAL_ALIGNMENT` | direct I/O with an offset, length or buffer that is not aligned |
 * | `WAL_BACKPRESSURE` | more bytes are pending than `maxPendingBytes` allows; nothing was appended |
 * | `WAL_BAD_FD` | a file that is unknown to this backend or was closed |
 * | `WAL_BAD_HEADER` | not a segment file, or not a log |
 * | `WAL_BAD_KEY` | an encryption key is missing or wrong |
 * | `WAL_BAD_PAYLOAD` | a payload that the log's encoding cannot decode, or that does not match its schema; `cause` says why |
 * | `WAL_BUSY` | closing or truncating a file while operations on it are in flight |
 * | `WAL_CLOSED` | the backend or log was closed |
 * | `WAL_CORRUPT` | something that was acknowledged is lost or damaged |
 * | `WAL_EMPTY_BATCH` | a batch without records |
 * | `WAL_FENCED` | a replicated stream has records of another writer, or of another log: nothing more is published |
 * | `WAL_FOREIGN_DIRECTORY` | a directory that holds other files and no log, or for a backup anything but an earlier backup of this log; nothing was changed |
 * | `WAL_HOLE` | records that are lost, in a log that was salvaged around them: `firstLsn` to `lastLsn` |
 * | `WAL_IO_FAILED` | the operating system refused an operation; `cause` says which |
 * | `WAL_LOCKED` | another writer holds the log |
 * | `WAL_NO_SPACE` | the disk, or a quota on it, is full |
 * | `WAL_NOT_FOUND` | no such file, directory or log |
 * | `WAL_QUEUE_FULL` | too many submissions whose completions were not polled yet; poll, then submit again |
 * | `WAL_RANGE` | a position past the end, or inside a frame |
 * | `WAL_STATE` | a call that the current state does not allow |
 * | `WAL_TIMEOUT` | a deadline passed |
 * | `WAL_TOO_LARGE` | a payload or meta over its limit; nothing was appended |
 * | `WAL_TRUNCATED` | the record or position was removed from the log |
 * | `WAL_UNSUPPORTED` | the backend or platform cannot do this |
 * | `WAL_UNSUPPORTED_VERSION` | written by a later version of the format |
 */
export type WalErrorCode =
  | 'WAL_ABORTED'
  | 'WAL_ALIGNMENT'
  | 'WAL_BACKPRESSURE'
  | 'WAL_BAD_FD'
  | 'WAL_BAD_HEADER'
  | 'WAL_BAD_KEY'
  | 'WAL_BAD_PAYLOAD'
  | 'WAL_BUSY'
  | 'WAL_CLOSED'
  | 'WAL_CORRUPT'
  | 'WAL_EMPTY_BATCH'
  | 'WAL_FENCED'
  | 'WAL_FOREIGN_DIRECTORY'
  | 'WAL_HOLE'
  | 'WAL_IO_FAILED'
  | 'WAL_LOCKED'
  | 'WAL_NO_SPACE'
  | 'WAL_NOT_FOUND'
  | 'WAL_QUEUE_FULL'
  | 'WAL_RANGE'
  | 'WAL_STATE'
  | 'WAL_TIMEOUT'
  | 'WAL_TOO_LARGE'
  | 'WAL_TRUNCATED'
  | 'WAL_UNSUPPORTED'
  | 'WAL_UNSUPPORTED_VERSION';

/** Details of an error. Each one that is known is a property of the error with the same name. */
export interface WalErrorFacts {
  /** The file or directory concerned. */
  readonly path?: string;
  /** Byte offset in that file. */
  readonly offset?: number;
  /** The record concerned. */
  readonly lsn?: number;
  /** The first LSN that is still in the log; of a hole, the first one that is lost. */
  readonly firstLsn?: number;
  /** Of a hole, the last LSN that is lost; of an import that found no room, the last one of the source that is appended. */
  readonly lastLsn?: number;
  /** Why, as a short stable word such as `'checksum'` or `'missing-segment'`. */
  readonly reason?: string;
  /** The state that refused the call. */
  readonly state?: string;
  /** The holder of the lock. */
  readonly holder?: string;
  /** The limit that was exceeded, in the unit of what it limits. */
  readonly limit?: number;
  /** The value that exceeded it, in the same unit as `limit`. */
  readonly actual?: number;
  /** The operation of the operating system or the backend that failed. */
  readonly operation?: string;
  /** Id of the encryption key concerned. */
  readonly keyId?: number;
  /** The operating system's name for the failure, such as `'EIO'`. */
  readonly systemCode?: string;
}

const BRAND = Symbol.for('walstack.WalError');

/**
 * The error class of all walstack packages. `code` is stable, the message says what happened and what to do next, `cause`
 * is the underlying error, and the facts (path, offset, LSN …) are properties.
 *
 * Wrong arguments throw Node's own `TypeError` and `RangeError` with Node's codes instead.
 */
export class WalError extends Error implements WalErrorFacts {
  /** `'AbortError'` for `WAL_ABORTED`, by which programs recognize an abort of any API; `'WalError'` for every other code. */
  override readonly name: 'WalError' | 'AbortError';
  readonly code: WalErrorCode;
  declare readonly path?: string;
  declare readonly offset?: number;
  declare readonly lsn?: number;
  declare readonly firstLsn?: number;
  declare readonly lastLsn?: number;
  declare readonly reason?: string;
  declare readonly state?: string;
  declare readonly holder?: string;
  declare readonly limit?: number;
  declare readonly actual?: number;
  declare readonly operation?: string;
  declare readonly keyId?: number;
  declare readonly systemCode?: string;

  constructor(code: WalErrorCode, message: string, facts: WalErrorFacts = {}, options?: ErrorOptions) {
    super(message, options);
    this.name = code === 'WAL_ABORTED' ? 'AbortError' : 'WalError';
    this.code = code;
    Object.assign(this, facts);
    Object.defineProperty(this, BRAND, { value: true });
  }

  /**
   * Whether `error` is a `WalError`, also one from another copy of this package in the same process, for which
   * `instanceof` is false.
   */
  static is(error: unknown): error is WalError;
  /**
   * The same, and whether it has this code.
   *
   * @param code - the code that it must have
   */
  static is<Code extends WalErrorCode>(error: unknown, code: Code): error is WalError & { readonly code: Code };
  static is(error: unknown, code?: WalErrorCode): error is WalError {
    if (typeof error !== 'object' || error === null || !(BRAND in error)) return false;
    return code === undefined || (error as { readonly code?: unknown }).code === code;
  }
}
