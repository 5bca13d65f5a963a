import { checkBoolean, checkInteger, checkLsn, checkOptions, type Lsn, type WalError } from '@walstack/codec';
import { LogTail, type LogTailOptions } from '@walstack/mmap-reader';
import { type CheckedFilter, checkFilter, type RecordFilter, type WalRecord } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { type Abortable, aborted, checkSignal } from './aborting.js';
import type { WalEvent } from './encoding.js';
import type { Progress } from './progress.js';

/** How a log is followed. */
export interface FollowOptions extends Abortable, Pick<RecordFilter, 'types' | 'scope' | 'fromTimeMs'> {
  /** Give out arrays of so many events at most, instead of events one by one. At least 1. */
  readonly batch?: number;
  /**
   * Only events that survive a crash. Default `true`. With `false` also those that were handed to the operating system
   * and may be gone after a crash.
   */
  readonly durableOnly?: boolean;
  /**
   * Give out copies of meta and payload, which stay as they are; those of up to 2 KiB may share a buffer of 8 KiB, as Node's
   * own small buffers do. With `false` they are views and good only until the next event, or array of events, is asked
   * for. Default `true`.
   */
  readonly copy?: boolean;
}

/** Events of a log as they come, without end: for `for await … of`, which closes it when it is left. */
export interface WalFollower<Item> extends AsyncIterableIterator<Item, void, undefined> {
  /** Ends it, also while an event is waited for. */
  return(): Promise<IteratorResult<Item, void>>;
}

/** Whether arrays of events are asked for. */
export interface Batched<B extends number | undefined> {
  readonly batch?: B;
}

/** What a follower gives out: an array of events where that is asked for, else an event. */
export type Followable<T, B extends number | undefined> = B extends number ? readonly WalEvent<T>[] : WalEvent<T>;

/** So many events are made ahead of the one that is asked for. */
const EVENTS_AHEAD = 256;

/** The options of following. */
export const FOLLOW_OPTIONS: readonly (keyof FollowOptions)[] = [
  'batch',
  'durableOnly',
  'copy',
  'types',
  'scope',
  'fromTimeMs',
  'signal',
];

/** Options that were checked. */
export interface FollowSettings {
  /** `undefined` for events one by one. */
  readonly batch: number | undefined;
  readonly signal: AbortSignal | undefined;
  readonly from: Lsn | 'first';
  /** Whether a record is wanted; `undefined` when all are. */
  readonly matches: CheckedFilter['matches'];
  /** So many events are read at a time. */
  readonly ahead: number;
  readonly tail: Pick<LogTailOptions, 'copy' | 'durableOnly'>;
}

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkFollow<Options extends FollowOptions>(
  from: Lsn | 'first',
  options: Options,
  known: readonly (keyof Options & string)[],
): FollowSettings {
  if (from !== 'first') checkLsn('from', from);
  const { batch, signal, copy = true, durableOnly = true } = checkOptions('options', options, known);
  const { types, scope, fromTimeMs } = options;
  return {
    batch: batch === undefined ? undefined : checkInteger('batch', batch, 1),
    signal: checkSignal(signal),
    from,
    // What is not given stays away: nothing is looked at for it.
    matches: checkFilter({
      ...(types === undefined ? {} : { types }),
      ...(scope === undefined ? {} : { scope }),
      ...(fromTimeMs === undefined ? {} : { fromTimeMs }),
    }).matches,
    // Views are good only until the next event is asked for: none may be made ahead.
    ahead: batch ?? (copy ? EVENTS_AHEAD : 1),
    tail: { copy: checkBoolean('copy', copy), durableOnly: checkBoolean('durableOnly', durableOnly) },
  };
}

/** What is followed, and how one hears of news. */
export interface Followed<T> {
  readonly io: StorageIo;
  readonly directory: string;
  readonly progress: Progress;
  /** What it takes to understand the records. */
  readonly decoding: Pick<LogTailOptions, 'keyRing' | 'allowPlaintext' | 'maxPayloadBytes'>;
  readonly toEvent: (record: WalRecord) => WalEvent<T>;
  /** The last LSN that may be given out, where that is known without reading. */
  readonly upTo?: () => Lsn;
  /** Why nothing can be read any more; `undefined` while it can. */
  readonly closed: () => WalError | undefined;
  /** Why nothing more will come than what is there; `undefined` while something may. */
  readonly failure: () => WalError | undefined;
  /** Called when reading begins; what it returns is called when it is over. */
  readonly begin: (tail: LogTail) => () => unknown;
}

/** Follows a log, event by event. It is opened when the first one is asked for. */
export function followEvents<T>(open: () => Followed<T>, settings: FollowSettings): WalFollower<WalEvent<T>> {
  const stopped = new AbortController();
  return follower(oneByOne(piecesOf(open, settings, stopped.signal)), stopped);
}

/** The same with as many events at a time as the settings say, or as there are. */
export function followPieces<T>(
  open: () => Followed<T>,
  settings: FollowSettings,
): WalFollower<readonly WalEvent<T>[]> {
  const stopped = new AbortController();
  return follower(piecesOf(open, settings, stopped.signal), stopped);
}

/** Ends what it waits for before it ends: who is asked to return must not wait for an event. */
function follower<Item>(items: AsyncGenerator<Item, void, undefined>, stopped: AbortController): WalFollower<Item> {
  return {
    next: () => items.next(),
    return: () => {
      stopped.abort();
      return items.return();
    },
    throw: (error) => {
      stopped.abort();
      return items.throw(error);
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* oneByOne<T>(pieces: AsyncGenerator<readonly T[], void, undefined>): AsyncGenerator<T, void, undefined> {
  for await (const piece of pieces) for (const event of piece) yield event;
}

/** The events as they come, some at a time, until `stopped`. */
async function* piecesOf<T>(
  open: () => Followed<T>,
  settings: FollowSettings,
  stopped: AbortSignal,
): AsyncGenerator<readonly WalEvent<T>[], void, undefined> {
  const { from, signal, tail: options } = settings;
  const followed = open();
  const { io, directory, decoding } = followed;
  // Who knows what is durable need not look for proof of it.
  const known = followed.upTo === undefined ? {} : { durableOnly: false, upTo: followed.upTo };
  const tail = new LogTail(io, directory, { from, ...decoding, ...options, ...known });
  const over = signal === undefined ? stopped : AbortSignal.any([stopped, signal]);
  const { progress } = followed;
  const end = followed.begin(tail);
  /** What could be given out when there was nothing. */
  let nothingUpTo: Lsn | undefined;
  try {
    for (;;) {
      const seen = progress.count;
      throwIfOver(followed, signal);
      if (stopped.aborted) return;
      const upTo = followed.upTo?.();
      if (upTo === undefined || upTo !== nothingUpTo) {
        if (await tail.advance()) {
          yield* readAhead(followed, tail, settings);
          continue;
        }
        nothingUpTo = upTo;
      }
      throwIfFailed(followed);
      await progress.beyond(seen, over);
    }
  } finally {
    tail.close();
    await end();
  }
}

/** The events that are in memory. */
function* readAhead<T>(
  followed: Followed<T>,
  tail: LogTail,
  { ahead, matches, signal }: FollowSettings,
): Generator<readonly WalEvent<T>[], void, undefined> {
  let piece: WalEvent<T>[] = [];
  for (let record = tail.next(); record !== undefined; record = tail.next()) {
    if (matches !== undefined && !matches(record)) continue;
    if (piece.push(followed.toEvent(record)) < ahead) continue;
    yield piece;
    throwIfOver(followed, signal);
    piece = [];
  }
  if (piece.length > 0) yield piece;
}

function throwIfOver(followed: Followed<unknown>, signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw aborted(signal, 'the log is not followed any more');
  const closed = followed.closed();
  if (closed !== undefined) throw closed;
}

function throwIfFailed({ failure }: Followed<unknown>): void {
  const failed = failure();
  if (failed !== undefined) throw failed;
}
