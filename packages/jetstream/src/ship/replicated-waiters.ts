import { type Lsn, WalError } from '@walstack/codec';
import { aborted, onAbort } from '@walstack/storage-io/internal';
import { BinaryHeap } from '@walstack/wal/internal';

interface Waiter {
  readonly lsn: Lsn;
  /** The segment that has the record; `undefined` where it is not known. */
  readonly segment: number | undefined;
  /** The order of the calls. */
  readonly turn: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
  /** Whether it was resolved or rejected: then it stays only until it comes out of the heap. */
  isSettled: boolean;
}

const isBefore = (a: Waiter, b: Waiter): boolean => a.lsn < b.lsn || (a.lsn === b.lsn && a.turn < b.turn);

/** So many that were aborted may wait to come out of the heap, and as many as there are others. */
const ABORTED_MAX = 1024;

/** Calls that wait until a record is replicated. No order of calls, and no number of them, costs more than logarithmic time for each. */
export class ReplicatedWaiters {
  #waiters = new BinaryHeap(isBefore);
  #turns = 0;
  /** How many of the waiters were aborted. */
  #aborted = 0;
  readonly #segmentOf: (lsn: Lsn) => number | undefined;

  /** @param segmentOf - the number of the segment that has a record now */
  constructor(segmentOf: (lsn: Lsn) => number | undefined) {
    this.#segmentOf = segmentOf;
  }

  /** @throws `WAL_ABORTED`; `WAL_TRUNCATED` when the record is cut off meanwhile */
  wait(lsn: Lsn, signal: AbortSignal | undefined): Promise<void> {
    const segment = this.#segmentOf(lsn);
    return new Promise((resolve, reject) => {
      const what = `waiting until LSN ${lsn} is replicated was aborted: it may be replicated later`;
      if (signal?.aborted === true) return reject(aborted(signal, what, { lsn }));
      let stop = (): void => {};
      const end = (): void => {
        waiter.isSettled = true;
        stop();
      };
      const waiter: Waiter = {
        lsn,
        segment,
        turn: this.#turns++,
        isSettled: false,
        resolve: () => {
          end();
          resolve();
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      this.#waiters.push(waiter);
      if (signal === undefined) return;
      stop = onAbort(signal, () => {
        waiter.reject(aborted(signal, what, { lsn }));
        this.#aborted++;
        if (this.#aborted > ABORTED_MAX && this.#aborted > this.#waiters.size / 2) this.#take(() => false);
      });
    });
  }

  /** A record, and everything before it, is replicated. */
  reached(lsn: Lsn, segment: number): void {
    const early: Waiter[] = [];
    for (let next = this.#waiters.first; next !== undefined && next.lsn <= lsn; next = this.#waiters.first) {
      this.#waiters.pop();
      if (next.isSettled) this.#aborted--;
      // The record that has its LSN was cut off since, and another one is not reached yet.
      else if ((next.segment ?? 0) > segment) early.push(next);
      else this.#settle(next);
    }
    for (const each of early) this.#waiters.push(each);
  }

  #settle(waiter: Waiter): void {
    const now = this.#segmentOf(waiter.lsn);
    if (now === undefined || waiter.segment === undefined || now === waiter.segment) waiter.resolve();
    else waiter.reject(cutOff(waiter.lsn));
  }

  /** Nothing more is replicated. */
  fail(error: unknown): void {
    this.#take((waiter) => {
      waiter.reject(error);
      return true;
    });
  }

  /** Takes those out of the heap that were aborted, and others. @param takes - whether to take one that was not */
  #take(takes: (waiter: Waiter) => boolean): void {
    const before = this.#waiters;
    this.#waiters = new BinaryHeap(isBefore);
    this.#aborted = 0;
    for (let next = before.pop(); next !== undefined; next = before.pop()) {
      if (!next.isSettled && !takes(next)) this.#waiters.push(next);
    }
  }
}

function cutOff(lsn: Lsn): WalError {
  const what = `the record with LSN ${lsn} was cut off the log before it was known to be replicated`;
  return new WalError('WAL_TRUNCATED', what, { lsn, reason: 'cut-back' });
}
