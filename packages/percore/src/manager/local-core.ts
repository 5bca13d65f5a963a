import { WalError } from '@walstack/codec';
import type { TruncateResult } from '@walstack/segmented';
import { NOTHING_COMMITTED } from '../core/commit.js';
import { NO_PLACES } from '../core/commit-ledger.js';
import type { Core, CorePlace, DurableBarrier } from '../core/core-handle.js';
import { barrierOf, type CoreWalWriter, durableLsnOf, forgetCommitted, logOf } from '../core/core-wal-writer.js';

/** The log of a core whose writer is in this thread. */
export class LocalCore implements Core {
  readonly coreId: number;
  readonly writer: CoreWalWriter;

  constructor(writer: CoreWalWriter) {
    this.coreId = writer.coreId;
    this.writer = writer;
  }

  async endEpoch(epoch: number): Promise<DurableBarrier> {
    const { writer } = this;
    // The first entry of the next epoch may have appended it already; and a core that has appended its last barrier
    // appends no more.
    if (barrierOf(writer, epoch) === undefined) await appendBarrier(writer);
    const barrier = barrierOf(writer, epoch);
    if (barrier === undefined) {
      throw new WalError('WAL_STATE', `core ${this.coreId} has no barrier of epoch ${epoch}`, { state: 'running' });
    }
    await writer.sync();
    // The log's own durable LSN counts here, and not what `markSynced` claims of syncs by other writers.
    if (durableLsnOf(writer) < barrier.lsn) throw notDurable(this.coreId, barrier.lsn);
    const { lsn, position, timestampUs, committed, commitPlaces, retired } = barrier;
    return { lsn, position, timestampUs, committed, commitPlaces, retired };
  }

  async sync(): Promise<CorePlace> {
    await this.writer.sync();
    return placeOf(this.writer);
  }

  async place(): Promise<CorePlace> {
    return placeOf(this.writer);
  }

  async forgetCommitted(lsn: number): Promise<void> {
    forgetCommitted(this.writer, lsn);
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return logOf(this.writer).truncateBefore(lsn);
  }

  close(): Promise<void> {
    return this.writer.close();
  }
}

/** The log of a retired core: nothing is appended to it, and it stays open until its entries are no longer needed. */
export class RetiredCore implements Core {
  readonly coreId: number;
  readonly #writer: CoreWalWriter;
  #barrier: DurableBarrier;

  constructor(writer: CoreWalWriter, barrier: DurableBarrier) {
    this.coreId = writer.coreId;
    this.#writer = writer;
    this.#barrier = barrier;
  }

  async endEpoch(): Promise<DurableBarrier> {
    return this.#barrier;
  }

  place(): Promise<CorePlace> {
    return Promise.resolve(placeOf(this.#writer));
  }

  sync(): Promise<CorePlace> {
    return this.place();
  }

  async forgetCommitted(): Promise<void> {
    this.#barrier = { ...this.#barrier, committed: NOTHING_COMMITTED, commitPlaces: NO_PLACES };
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return logOf(this.#writer).truncateBefore(lsn);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

/** Appends a barrier: waits for memory when the writer was faster than the disk, and tries once more after a full disk. */
async function appendBarrier(writer: CoreWalWriter): Promise<void> {
  for (let wasFull = false; ; ) {
    try {
      writer.appendEpochBarrier();
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

function placeOf(writer: CoreWalWriter): CorePlace {
  const { coreId, position, syncedPosition, lastLsn, entriesSinceSync } = writer;
  return { coreId, position, syncedPosition, lastLsn, entriesSinceSync, durableLsn: durableLsnOf(writer) };
}

function notDurable(coreId: number, lsn: number): WalError {
  return new WalError('WAL_IO_FAILED', `the sync of core ${coreId} did not make its barrier with LSN ${lsn} durable`, {
    lsn,
  });
}
