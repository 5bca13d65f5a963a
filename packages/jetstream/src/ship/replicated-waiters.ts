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
  readonly #waiters = new Set<Waiter>();
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
        this.#waiters.delete(waiter);
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
      this.#waiters.add(waiter);
    });
  }

  /** A record, and everything before it, is replicated. */
  reached(lsn: Lsn, segment: number): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of this.#waiters) {
      // A record that was cut off since may have a higher LSN.
      if (waiter.lsn > lsn || (waiter.segment ?? 0) > segment) continue;
      const now = this.#segmentOf(waiter.lsn);
      if (now === undefined || waiter.segment === undefined || now === waiter.segment) waiter.resolve();
      else waiter.reject(cutOff(waiter.lsn));
    }
  }

  /** Nothing more is replicated. */
  fail(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }
}

function cutOff(lsn: Lsn): WalError {
  const what = `the record with LSN ${lsn} was cut off the log before it was known to be replicated`;
  return new WalError('WAL_TRUNCATED', what, { lsn, reason: 'cut-back' });
}
