import { type Lsn, WalError } from '@walstack/codec';
import { aborted, onAbort } from '@walstack/storage-io/internal';

interface Waiter {
  readonly lsn: Lsn;
  /** The segment that has the record; `undefined` where it is not known. */
  readonly segment: number | undefined;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Calls that wait until a record is replicated. */
export class ReplicatedWaiters {
  /** In the order of their LSNs: what is reached is at the beginning. */
  readonly #waiters: Waiter[] = [];
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
        this.#remove(waiter);
        stop();
      };
      const waiter: Waiter = {
        lsn,
        segment,
        resolve: () => {
          end();
          resolve();
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      if (signal !== undefined) stop = onAbort(signal, () => waiter.reject(aborted(signal, what, { lsn })));
      this.#add(waiter);
    });
  }

  /** A record, and everything before it, is replicated. */
  reached(lsn: Lsn, segment: number): void {
    const behind = this.#waiters.findIndex((waiter) => waiter.lsn > lsn);
    for (const waiter of this.#waiters.slice(0, behind < 0 ? undefined : behind)) {
      // The record that has its LSN was cut off since, and another one is not reached yet.
      if ((waiter.segment ?? 0) > segment) continue;
      const now = this.#segmentOf(waiter.lsn);
      if (now === undefined || waiter.segment === undefined || now === waiter.segment) waiter.resolve();
      else waiter.reject(cutOff(waiter.lsn));
    }
  }

  /** Nothing more is replicated. */
  fail(error: unknown): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error);
  }

  /** Records are waited for in their order, nearly always: then it is the last one. */
  #add(waiter: Waiter): void {
    const before = this.#waiters.findLastIndex(({ lsn }) => lsn <= waiter.lsn);
    this.#waiters.splice(before + 1, 0, waiter);
  }

  #remove(waiter: Waiter): void {
    const index = this.#waiters.indexOf(waiter);
    if (index >= 0) this.#waiters.splice(index, 1);
  }
}

function cutOff(lsn: Lsn): WalError {
  const what = `the record with LSN ${lsn} was cut off the log before it was known to be replicated`;
  return new WalError('WAL_TRUNCATED', what, { lsn, reason: 'cut-back' });
}
