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
    // It may have come before, with the first entry that was appended in the next epoch; and of a core that has appended
    // its last one, none comes any more.
    if (barrierOf(writer, epoch) === undefined) await appendBarrier(writer);
    const barrier = barrierOf(writer, epoch);
    if (barrier === undefined) {
      throw new WalError('WAL_STATE', `core ${this.coreId} has no barrier of epoch ${epoch}`, { state: 'running' });
    }
    await writer.sync();
    // What was told to the writer about syncs of others is not believed here.
    if (durableLsnOf(writer) < barrier.lsn) throw notDurable(this.coreId, barrier.lsn);
    const { lsn, position, timestampUs, committed, commitPlaces, left } = barrier;
    return { lsn, position, timestampUs, committed, commitPlaces, left };
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

/** The log of a core that was taken away: nothing more is appended to it, until its entries are needed no more. */
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

/** A barrier finds room even where the writer was faster than the disk, and where the disk was full, if there is room now. */
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
    // A flush does not make the segment for which there was no room.
    await (wasFull ? writer.sync() : writer.flush());
  }
}

function placeOf(writer: CoreWalWriter): CorePlace {
  const { coreId, position, syncedPosition, lastLsn, entriesSinceSync } = writer;
  return { coreId, position, syncedPosition, lastLsn, entriesSinceSync, durableLsn: durableLsnOf(writer) };
}

function notDurable(coreId: number, lsn: number): WalError {
  return new WalError('WAL_IO_FAILED', `the sync of core ${coreId} left its barrier with LSN ${lsn} not durable`, {
    lsn,
  });
}
