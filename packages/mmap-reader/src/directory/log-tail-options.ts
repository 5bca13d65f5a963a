import { KeyRing, type Lsn } from '@walstack/codec';
import { checkBoolean, checkOneOf, checkOptions, invalidType, optionNames } from '@walstack/codec/internal';
import type { Interruptible } from '@walstack/storage-io/internal';
import { checkFrom, type ReadFrom } from '../chain/behind-checkpoint.js';
import type { Demands } from '../chain/encrypted-from.js';
import { checkOnHole, type OnHole } from '../frames/holes.js';
import { checkDecoding } from '../records/decoding.js';
import type { WalRecord } from '../records/wal-record.js';
import { checkLongCall, type LongCallOptions, type WalProgress } from '../walk/call-watch.js';
import { type LastRead, lastReadAt, type ResumePoint } from './resume-point.js';

/** How a `LogTail` reads. */
export interface LogTailOptions extends LongCallOptions {
  /**
   * The first LSN to return, which may not have been assigned yet; `'first'`, the default, is the first one in the log, and
   * `'checkpoint'` the first one behind the checkpoint, see {@link ReadFrom}. With a {@link ResumePoint} the tail also throws
   * when anything before it was cut off since; with an LSN alone that cannot be detected.
   */
  readonly from?: ReadFrom | ResumePoint;
  /**
   * Return only records that survive a crash: those that a later group or a mark proves durable, so that the last ones
   * are returned when the log continues, or has been idle for a moment. Default `false`: everything that was handed to
   * the operating system, the last of which a crash may undo.
   */
  readonly durableOnly?: boolean;
  /**
   * Returns the last LSN that may be returned now; for the process of the writer, which knows what is durable without a
   * proof. Batches are returned whole: it has to be the last record of one. Default: no limit.
   */
  readonly upTo?: () => Lsn;
  /**
   * Returns the last LSN that is durable; for the process that writes the log, which has to call
   * `LogTail.cutAfter` as well: a record up to there that cannot be read is lost, without further proof in the log.
   * Default: only what the log proves.
   */
  readonly durable?: () => Lsn;
  /**
   * Return copies of meta and payload; copies of up to 2 KiB may share a buffer of 8 KiB, as small buffers of Node.js
   * do. With `false` they are views, valid only until the next record is read. Default `true`.
   */
  readonly copy?: boolean;
  /**
   * Whether to return a record; called before the record is decoded, so that records that are skipped need not be
   * decodable. It may close the tail, but not read on. Default: all are returned.
   */
  readonly matches?: ((record: Pick<WalRecord, 'type' | 'scope' | 'timestampMs'>) => boolean) | undefined;
  /**
   * What to do where records are lost, in a log that was salvaged around them: `'throw'`, the default, rejects with `WAL_HOLE`,
   * whose `firstLsn` and `lastLsn` say which ones, `'skip'` goes on behind them.
   */
  readonly onHole?: OnHole;
  /** The keys of encrypted segments; a function in the process of the writer, whose key ring may change later. */
  readonly keyRing?: KeyRing | (() => KeyRing | undefined) | undefined;
  /**
   * Accept plaintext records although there is a key ring. Default `false`: only those from before the log was
   * encrypted, which a later record that the key opens proves.
   */
  readonly allowPlaintext?: boolean;
  /**
   * Returns the LSN from which on the log is encrypted; for the process of the writer, which knows it without such a
   * proof. Default: what the segments prove.
   */
  readonly encryptedFrom?: (() => Lsn | undefined) | undefined;
  /** The longest payload that is decompressed, in bytes, at most 1 GiB. Default 64 MiB. */
  readonly maxPayloadBytes?: number;
  /** Ends `advance()`, also while it waits for a key service: it rejects with `WAL_ABORTED`. */
  readonly signal?: AbortSignal;
  /**
   * Called while the tail reads what is in the log already: at most once in each turn of the event loop that `advance()`
   * takes, and when it has reached the end for the first time; from then on no more. An error that it throws ends
   * `advance()`, which rejects with it. Default: not called.
   */
  readonly onProgress?: (progress: WalProgress) => void;
  /**
   * What to do when the next record was removed from the log: `'throw'`, the default, throws `WAL_TRUNCATED`; `'skip'`
   * continues with the first record in the log, and `LogTail.skipped` has what was skipped. Records that were cut off after
   * they had been read always throw.
   */
  readonly onTruncated?: OnTruncated;
}

/** What a reader does when truncation has removed the next record. */
export type OnTruncated = 'throw' | 'skip';

export const ON_TRUNCATED: readonly OnTruncated[] = ['throw', 'skip'];

/** Records that were removed from the log before a reader came to them. */
export interface SkippedRecords {
  readonly fromLsn: Lsn;
  readonly toLsn: Lsn;
}

const OPTIONS = optionNames<LogTailOptions>({
  from: true,
  durableOnly: true,
  upTo: true,
  durable: true,
  copy: true,
  matches: true,
  onHole: true,
  keyRing: true,
  allowPlaintext: true,
  encryptedFrom: true,
  maxPayloadBytes: true,
  signal: true,
  onProgress: true,
  onTruncated: true,
});

/** The checked options of a tail. */
export interface TailPlan {
  readonly from: ReadFrom;
  /** The record before `from`; `undefined` when only an LSN was given. */
  readonly lastRead: LastRead | undefined;
  readonly durableOnly: boolean;
  readonly upTo: () => Lsn;
  readonly durable: () => Lsn;
  readonly copy: boolean;
  readonly matches: LogTailOptions['matches'];
  readonly onHole: OnHole;
  readonly keyRing: () => KeyRing | undefined;
  readonly decoding: Omit<Demands, 'keyRing'>;
  readonly call: LongCallOptions;
  readonly onTruncated: OnTruncated;
}

/** Checks the options of a tail. @throws `TypeError`, `RangeError` with Node's codes */
export function checkTailOptions(options: LogTailOptions): TailPlan {
  const {
    from = 'first',
    durableOnly = false,
    upTo = noLimit,
    durable = noneDurable,
    copy = true,
    matches,
    onHole = 'throw',
    keyRing,
    allowPlaintext,
    encryptedFrom,
    maxPayloadBytes,
    signal,
    onProgress,
    onTruncated = 'throw',
  } = checkOptions('options', options, OPTIONS);
  if (typeof upTo !== 'function') throw invalidType('upTo', 'a function', upTo);
  if (typeof durable !== 'function') throw invalidType('durable', 'a function', durable);
  if (matches !== undefined && typeof matches !== 'function') throw invalidType('matches', 'a function', matches);
  if (keyRing !== undefined && typeof keyRing !== 'function' && !(keyRing instanceof KeyRing)) {
    throw invalidType('keyRing', 'a KeyRing, or a function that returns one', keyRing);
  }
  if (encryptedFrom !== undefined && typeof encryptedFrom !== 'function') {
    throw invalidType('encryptedFrom', 'a function', encryptedFrom);
  }
  return {
    lastRead: typeof from === 'object' ? lastReadAt('from', from) : undefined,
    from: typeof from === 'object' ? from.lsn : checkFrom('from', from),
    durableOnly: checkBoolean('durableOnly', durableOnly),
    upTo,
    durable,
    copy: checkBoolean('copy', copy),
    matches,
    onHole: checkOnHole('onHole', onHole),
    keyRing: typeof keyRing === 'function' ? keyRing : () => keyRing,
    decoding: { encryptedFrom, ...checkDecoding({ allowPlaintext, maxPayloadBytes }) },
    call: checkLongCall(signal, onProgress),
    onTruncated: checkOneOf('onTruncated', onTruncated, ON_TRUNCATED),
  };
}

/**
 * The same plan, with functions of the application that end the call which calls them with what they throw, whatever code that has: a
 * tail would take the error of another log for a finding of its own, and skip records, or begin again.
 */
export function interruptible(plan: TailPlan, calls: Interruptible): TailPlan {
  const { upTo, durable, keyRing, decoding } = plan;
  const { encryptedFrom } = decoding;
  return {
    ...plan,
    upTo: () => calls.called(upTo),
    durable: durable === noneDurable ? durable : () => calls.called(durable),
    keyRing: () => calls.called(keyRing),
    decoding: {
      ...decoding,
      encryptedFrom: encryptedFrom === undefined ? undefined : () => calls.called(encryptedFrom),
    },
  };
}

const noLimit = (): Lsn => Number.MAX_SAFE_INTEGER;

/** The default of `durable`: what is durable is not known without a proof. */
export const noneDurable = (): Lsn => 0;
