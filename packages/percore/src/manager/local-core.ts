import { WalError } from '@walstack/codec';
import type { SegmentedWal, TruncateResult } from '@walstack/segmented';
import { NOTHING_COMMITTED } from '../commits/commit.js';
import { NO_PLACES } from '../commits/commit-ledger.js';
import type { ActiveCore, CheckpointedCore, CorePlace, DurableBarrier } from '../core/core-handle.js';
import type { CoreLog } from '../core/core-log.js';
import { type CoreWalWriter, makeWriter } from '../core/core-wal-writer.js';

/** The log of a core whose writer is in this thread. */
export class LocalCore implements ActiveCore {
  readonly coreId: number;
  readonly writer: CoreWalWriter;
  readonly #core: CoreLog;

  constructor(core: CoreLog) {
    this.coreId = core.coreId;
    this.writer = makeWriter(core);
    this.#core = core;
  }

  async endEpoch(epoch: number): Promise<DurableBarrier> {
    const { writer } = this;
    const { barriers } = this.#core;
    // The first entry of the next epoch may have appended it already, also while this waits; and a core that has appended its
    // last barrier appends no more.
    await this.#append(
      () => barriers.ofEpoch(epoch) === undefined,
      () => writer.appendEpochBarrier(),
    );
    return this.#durableBarrier(epoch);
  }

  async repeatLastBarrier(epoch: number): Promise<DurableBarrier> {
    const { barriers } = this.#core;
    await this.#append(
      () => (barriers.last?.epoch ?? 0) < epoch,
      () => this.#core.beginEpoch(epoch + 1, true),
    );
    return this.#durableBarrier(epoch);
  }

  /** Makes the barrier that ends an epoch durable, with everything before it. */
  async #durableBarrier(epoch: number): Promise<DurableBarrier> {
    const { barriers, log } = this.#core;
    const barrier = barriers.ofEpoch(epoch);
    if (barrier === undefined) {
      throw new WalError('WAL_STATE', `core ${this.coreId} has no barrier of epoch ${epoch}`, { state: 'running' });
    }
    await this.writer.sync();
    // The log's own durable LSN counts here, and not what `markSynced` claims of syncs by other writers.
    if (log.durableLsn < barrier.lsn) throw notDurable(this.coreId, barrier.lsn);
    const { lsn, position, timestampUs, committed, commitPlaces, retired } = barrier;
    return { lsn, position, timestampUs, committed, commitPlaces, retired };
  }

  async sync(): Promise<CorePlace> {
    await this.writer.sync();
    return this.place();
  }

  async place(): Promise<CorePlace> {
    const { coreId, position, syncedPosition, lastLsn, entriesSinceSync } = this.writer;
    const { durableLsn } = this.#core.log;
    return { coreId, position, syncedPosition, lastLsn, durableLsn, entriesSinceSync };
  }

  async forgetCommitted(lsn: number): Promise<void> {
    this.#core.forgetCommitted(lsn);
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return this.#core.log.truncateBefore(lsn);
  }

  close(): Promise<void> {
    return this.writer.close();
  }

  /** Appends a barrier: waits for memory when the writer was faster than the disk, and tries once more after a full disk. */
  async #append(isMissing: () => boolean, append: () => unknown): Promise<void> {
    const { writer } = this;
    for (let wasFull = false; isMissing(); ) {
      try {
        append();
        return;
      } catch (error) {
        const isFull: boolean = WalError.is(error, 'WAL_NO_SPACE') && writer.failure === undefined && !wasFull;
        if (!isFull && !WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
        wasFull ||= isFull;
      }
      // After a full disk a sync is needed: a flush does not create the segment for which there was no space.
      await (wasFull ? writer.sync() : writer.flush());
    }
  }
}

/** The log of a retired core: nothing is appended to it, and it stays open until its entries are no longer needed. */
export class RetiredCore implements CheckpointedCore {
  readonly coreId: number;
  readonly #log: SegmentedWal;
  #barrier: DurableBarrier;

  constructor(coreId: number, log: SegmentedWal, barrier: DurableBarrier) {
    this.coreId = coreId;
    this.#log = log;
    this.#barrier = barrier;
  }

  async endEpoch(): Promise<DurableBarrier> {
    return this.#barrier;
  }

  async forgetCommitted(): Promise<void> {
    this.#barrier = { ...this.#barrier, committed: NOTHING_COMMITTED, commitPlaces: NO_PLACES };
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return this.#log.truncateBefore(lsn);
  }

  close(): Promise<void> {
    return this.#log.close();
  }
}

function notDurable(coreId: number, lsn: number): WalError {
  return new WalError('WAL_IO_FAILED', `the sync of core ${coreId} did not make its barrier with LSN ${lsn} durable`, {
    lsn,
  });
}
