import { checkBoolean, checkInteger, checkOneOf, checkOptions, optionNames } from '@walstack/codec/internal';
import type { LogTailOptions, OnHole, OnTruncated, ReadFrom, ResumePoint, WalProgress } from '@walstack/mmap-reader';
import {
  checkFrom,
  checkOnHole,
  checkOnProgress,
  checkResumePoint,
  ON_TRUNCATED,
} from '@walstack/mmap-reader/internal';
import { checkFilter, type RecordFilter } from '@walstack/segmented';
import { checkSignal } from '@walstack/storage-io/internal';
import type { Abortable } from '../commit/aborting.js';
import { checkNamed, type NamedOptions, type NamedSettings } from './named/named-options.js';

/**
 * Where following begins: an LSN, which may not be assigned yet, `'first'` or `'checkpoint'`, see {@link ReadFrom}, or the
 * {@link ResumePoint} of an earlier reader, which shows whether anything before it was cut off since. `'stored'` is behind what
 * was acknowledged under the `name` of the follower.
 */
export type FollowFrom = ReadFrom | ResumePoint | 'stored';

/** How a log is followed. */
export interface FollowOptions extends Abortable, Pick<RecordFilter, 'types' | 'scope' | 'fromTimeMs'>, NamedOptions {
  /**
   * Ends the following with `WAL_ABORTED`, also while it waits. Between two requests it releases at once what it holds; with the next
   * request where it has a `name`, so that it can acknowledge, or `copy` is `false`.
   */
  readonly signal?: AbortSignal;
  /** Return arrays of at most so many events, instead of single events. At least 1. */
  readonly batch?: number;
  /**
   * Only events that survive a crash. Default `true`. With `false` also those that were handed to the operating system
   * and may be lost in a crash.
   */
  readonly durableOnly?: boolean;
  /**
   * Return copies of meta and payload, which never change; copies of up to 2 KiB may share a buffer of 8 KiB, as Node's own
   * small buffers do. With `false` they are views, valid only until the next event, or array of events, is requested.
   * Default `true`.
   */
  readonly copy?: boolean;
  /**
   * Called while it reads what is in the log already: at most once in each turn of the event loop, and when it has reached the
   * end for the first time; from then on no more. An error that it throws ends the following. Default: not called.
   */
  readonly onProgress?: (progress: WalProgress) => void;
  /**
   * What to do when the next event was removed from the log before it was read: `'throw'`, the default, ends with
   * `WAL_TRUNCATED`; `'skip'` continues with the first event in the log, and `skipped` has what was skipped. Events that were cut
   * off after they had been returned always end it.
   */
  readonly onTruncated?: OnTruncated;
  /**
   * What to do where events are lost, in a log that was salvaged around them (`recoveryMode: 'skip-corrupt'`): `'throw'`, the
   * default, ends with `WAL_HOLE`, whose `firstLsn` and `lastLsn` say which ones: follow it again from `lastLsn` + 1. `'skip'` goes
   * on behind them.
   */
  readonly onHole?: OnHole;
}

/** The options of following. */
export const FOLLOW_OPTIONS = optionNames<FollowOptions>({
  batch: true,
  durableOnly: true,
  copy: true,
  types: true,
  scope: true,
  fromTimeMs: true,
  signal: true,
  onProgress: true,
  onTruncated: true,
  onHole: true,
  name: true,
  initially: true,
  storeEvery: true,
});

/** Checked options. */
export interface FollowSettings {
  /** `undefined` for events one by one. */
  readonly batch: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly from: FollowFrom;
  readonly tail: Pick<LogTailOptions, 'copy' | 'durableOnly' | 'matches' | 'onHole' | 'onProgress' | 'onTruncated'>;
  /** `undefined` for a follower without a name. */
  readonly named: NamedSettings | undefined;
}

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkFollow<Options extends FollowOptions>(
  from: FollowFrom,
  options: Options,
  known: readonly (keyof Options & string)[],
): FollowSettings {
  if (typeof from === 'object') checkResumePoint('from', from);
  else if (from !== 'stored') checkFrom('from', from);
  const {
    batch,
    signal,
    copy = true,
    durableOnly = true,
    onTruncated = 'throw',
    onHole = 'throw',
  } = checkOptions('options', options, known);
  const { types, scope, fromTimeMs, onProgress } = options;
  checkOnProgress('onProgress', onProgress);
  // Absent filters must stay absent, so that nothing is examined for them.
  const { matches } = checkFilter({
    ...(types === undefined ? {} : { types }),
    ...(scope === undefined ? {} : { scope }),
    ...(fromTimeMs === undefined ? {} : { fromTimeMs }),
  });
  return {
    batch: batch === undefined ? undefined : checkInteger('batch', batch, 1),
    signal: checkSignal(signal),
    from,
    tail: {
      copy: checkBoolean('copy', copy),
      durableOnly: checkBoolean('durableOnly', durableOnly),
      matches,
      ...(onProgress === undefined ? {} : { onProgress }),
      onTruncated: checkOneOf('onTruncated', onTruncated, ON_TRUNCATED),
      onHole: checkOnHole('onHole', onHole),
    },
    named: checkNamed(from, options),
  };
}
