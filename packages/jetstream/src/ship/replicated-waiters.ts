import type { Lsn } from '@walstack/codec';
import { aborted, onAbort } from '@walstack/storage-io/internal';

interface Waiter {
  readonly lsn: Lsn;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Calls that wait until a record is replicated. */
export class ReplicatedWaiters {
  readonly #waiters = new Set<Waiter>();

  /** @throws `WAL_ABORTED` */
  wait(lsn: Lsn, signal: AbortSignal | undefined): Promise<void> {
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

  /** Everything up to an LSN is replicated. */
  reached(lsn: Lsn): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of this.#waiters) if (waiter.lsn <= lsn) waiter.resolve();
  }

  /** Nothing more is replicated. */
  fail(error: unknown): void {
    for (const waiter of this.#waiters) waiter.reject(error);
  }
}
