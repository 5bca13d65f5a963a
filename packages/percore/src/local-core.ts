import { WalError } from '@walstack/codec';
import type { TruncateResult } from '@walstack/segmented';
import { NOTHING_COMMITTED } from './commit.js';
import type { Core, CorePlace, DurableBarrier } from './core.js';
import { type CoreWalWriter, durableLsnOf, forgetCommitted } from './core-wal-writer.js';

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
    await appendBarrier(writer);
    // It may have come before, with the first entry that was appended in the next epoch.
    const { barrier } = writer;
    if (barrier?.epoch !== epoch) {
      throw new WalError('WAL_STATE', `core ${this.coreId} has no barrier of epoch ${epoch}`, { state: 'running' });
    }
    await writer.sync();
    // What was told to the writer about syncs of others is not believed here.
    if (durableLsnOf(writer) < barrier.lsn) throw notDurable(this.coreId, barrier.lsn);
    const { lsn, position, timestampUs, committed } = barrier;
    return { lsn, position, timestampUs, committed, left: false };
  }

  async sync(): Promise<CorePlace> {
    await this.writer.sync();
    return placeOf(this.writer);
  }

  async place(): Promise<CorePlace> {
    return placeOf(this.writer);
  }

  async forgetCommitted(): Promise<void> {
    forgetCommitted(this.writer);
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return this.writer.truncateBefore(lsn);
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
    this.#barrier = { ...this.#barrier, committed: NOTHING_COMMITTED };
  }

  truncateBefore(lsn: number): Promise<TruncateResult> {
    return this.#writer.truncateBefore(lsn);
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

/** A barrier finds room even where the writer was faster than the disk. */
async function appendBarrier(writer: CoreWalWriter): Promise<void> {
  for (;;) {
    try {
      writer.appendEpochBarrier();
      return;
    } catch (error) {
      if (!WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
    }
    await writer.flush();
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
