import type { Lsn } from '@walstack/codec';
import type { CallQueues } from '../../call-queues.js';
import type { Cuts } from '../../retention/cuts.js';
import type { SegmentWriter } from '../segment-writer.js';
import type { LogEnd } from '../watermarks.js';
import type { SyncCalls } from './sync-calls.js';

/**
 * Flushes and syncs that a layer above a log begins by itself, and what it asks about their results. Closing a log reports
 * its failure if no call has; these calls do not count as having reported it, as their errors may reach no call of the
 * application.
 */
export class BackgroundCalls {
  readonly #calls: CallQueues;
  readonly #syncs: SyncCalls;
  readonly #writer: SegmentWriter;
  readonly #cuts: Cuts;

  constructor(calls: CallQueues, syncs: SyncCalls, writer: SegmentWriter, cuts: Cuts) {
    this.#calls = calls;
    this.#syncs = syncs;
    this.#writer = writer;
    this.#cuts = cuts;
  }

  /** The number of records that closing the log has discarded. */
  get discarded(): number {
    return this.#writer.discarded;
  }

  /**
   * The last LSN that is durable, and stays in the log: what a cut in progress drops may be gone for a reader before the cut is done, and is
   * not lost then.
   */
  get keptDurableLsn(): Lsn {
    const { durableLsn, nextLsn } = this.#writer;
    return Math.min(durableLsn, this.#cuts.endOfKept(nextLsn) - 1);
  }

  /** The present end of the log. */
  get appended(): LogEnd {
    return this.#writer.appended;
  }

  /** Whether everything up to an end is durable, or was before it was cut off. In any state of the log. */
  isDurable(end: LogEnd): boolean {
    return this.#writer.isDurable(end);
  }

  /** Writes everything appended so far to the operating system. */
  flush(): Promise<void> {
    return this.#syncs.flushUnreported();
  }

  /** @param ended - called as that of `SegmentedWal.startSync` */
  startSync(ended: (failure: unknown) => void): void {
    this.#syncs.startUnreported(ended);
  }

  /** Notes that a call of the application rejects with this error, which may be the failure of the log. */
  reported(error: unknown): void {
    this.#calls.reported(error);
  }
}

const callsOfLogs = new WeakMap<object, BackgroundCalls>();

/** Gives a log its background calls. */
export function setBackgroundCalls(log: object, calls: BackgroundCalls): void {
  callsOfLogs.set(log, calls);
}

/** The background calls of an open log. */
export function backgroundCallsOf(log: object): BackgroundCalls {
  const calls = callsOfLogs.get(log);
  if (calls === undefined) throw new TypeError('not a log of this package');
  return calls;
}
