import { type Lsn, WalError } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import type { Admission } from './admission.js';
import { Waiters } from './waiters.js';

/**
 * Makes groups: all who wait for durability share one write and one sync, and while those are under way, the next group
 * gathers.
 */
export class GroupCommit {
  readonly #log: SegmentedWal;
  readonly #admission: Admission;
  readonly #waiters = new Waiters();
  #running = false;

  constructor(log: SegmentedWal, admission: Admission) {
    this.#log = log;
    this.#admission = admission;
  }

  /** Commits that wait. */
  get waiting(): number {
    return this.#waiters.size;
  }

  /** Resolves with `lsn` once it is durable. */
  wait(lsn: Lsn): Promise<Lsn> {
    if (lsn <= this.#log.durableLsn) return Promise.resolve(lsn);
    const durable = this.#waiters.wait(lsn);
    this.start();
    return durable;
  }

  /** Sees to it that groups are made as long as somebody waits, for durability or for room. */
  start(): void {
    if (this.#running) return;
    this.#running = true;
    setImmediate(() => this.#nextGroup());
  }

  /** Serves those whose LSN has become durable, and lets in who waits for room. */
  settle(): void {
    this.#waiters.settle(this.#log.durableLsn);
    this.#admission.admit();
  }

  /** Turns everyone away who waits. */
  rejectAll(error: WalError): void {
    this.#waiters.rejectAll((lsn) => outcomeUnknown(lsn, error));
    this.#admission.rejectAll(error);
  }

  #nextGroup(): void {
    if (this.#waiters.size === 0 && this.#admission.size === 0) {
      this.#running = false;
      return;
    }
    // Who waits for room alone is not made to wait for a sync.
    const done = this.#waiters.size > 0 ? this.#log.sync() : this.#log.flush();
    done.then(
      () => {
        this.settle();
        // Those who were served may commit again at once: they are given the time to join the next group.
        setImmediate(() => this.#nextGroup());
      },
      (error: unknown) => {
        this.#running = false;
        this.rejectAll(this.#log.failure ?? asWalError(error));
      },
    );
  }
}

/** What stopped the log, as what everybody is told. */
export function asWalError(error: unknown): WalError {
  if (WalError.is(error)) return error;
  return new WalError('WAL_IO_FAILED', `the log failed: ${String(error)}`, {}, { cause: error });
}

/** A commit that was not confirmed: the record may be there after reopening, or not. */
function outcomeUnknown(lsn: Lsn, cause: WalError): WalError {
  return new WalError(
    cause.code,
    `the outcome of the commit with LSN ${lsn} is unknown (${cause.message}): open the log again and look whether it is there`,
    { ...(cause.path === undefined ? {} : { path: cause.path }), lsn, reason: 'outcome-unknown' },
    { cause },
  );
}
