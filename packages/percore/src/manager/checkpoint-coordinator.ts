import { invalidType, WalError } from '@walstack/codec';
import type { Environment } from '@walstack/segmented';
import { runAsync } from '@walstack/storage-io';
import { NOTHING_COMMITTED } from '../core/commit.js';
import type { Core, DurableBarrier } from '../core/core-handle.js';
import type { SharedEpochs } from '../core/epochs.js';
import { withoutSuperseded } from '../core/superseded-commits.js';
import { type CheckpointPlace, type Manifest, type PerCoreCheckpoint, writeManifest } from '../recovery/manifest.js';

/**
 * Makes a snapshot of what all entries up to the end of the checkpoint's epoch have come to. What it returns is awaited;
 * the snapshot has to be durable then.
 */
export type TakeSnapshot = (checkpoint: PerCoreCheckpoint) => unknown;

/** What truncation gave back, of all cores together. */
export interface TruncatedLogs {
  readonly segmentsDeleted: number;
  readonly segmentsRecycled: number;
  readonly bytesReclaimed: number;
  /** Segments whose files could not be removed: tried again by the next truncation. */
  readonly segmentsLeft: number;
}

/** An epoch that is complete, and where it ends in each log. */
interface EndedEpoch {
  readonly epoch: number;
  readonly cores: readonly CheckpointPlace[];
}

/**
 * Ends epochs and makes checkpoints over the logs of all cores: one thing at a time, in the order of the calls. While a
 * snapshot is taken, everything but a further checkpoint goes on.
 *
 * A checkpoint becomes the one that recovery begins from by one rename, of the manifest: when its barriers are durable in
 * every log, and its snapshot is made. Nothing is removed before that is durable. So a crash at any moment leaves this
 * checkpoint or the one before, whole.
 */
export class CheckpointCoordinator {
  readonly #world: Pick<Environment, 'io' | 'now'>;
  readonly #directory: string;
  readonly #epochs: SharedEpochs;
  readonly #cores: readonly Core[];
  #manifest: Manifest;
  /** The manifest on the disk may not be durable. */
  #manifestUnsure: boolean;
  /** The number of the last checkpoint that was begun, also where no manifest says so. */
  #lastId: number;
  #checkpointing = false;
  #closed = false;
  #last: Promise<unknown> = Promise.resolve();

  /**
   * @param manifest - as it is on the disk
   * @param manifestUnsure - it may not be durable: it is written again before the logs are changed because of it
   */
  constructor(
    world: Pick<Environment, 'io' | 'now'>,
    directory: string,
    epochs: SharedEpochs,
    cores: readonly Core[],
    manifest: Manifest,
    manifestUnsure = false,
  ) {
    this.#world = world;
    this.#directory = directory;
    this.#epochs = epochs;
    this.#cores = cores;
    this.#manifest = manifest;
    this.#manifestUnsure = manifestUnsure;
    const { checkpoint, pending, lastId = 0 } = manifest;
    this.#lastId = Math.max(checkpoint?.id ?? 0, pending?.id ?? 0, lastId);
  }

  /** The last checkpoint that is complete; `undefined` when there is none. */
  get lastCheckpoint(): PerCoreCheckpoint | undefined {
    return this.#manifest.checkpoint;
  }

  /**
   * Ends the present epoch. When this resolves it is complete: its barrier is durable in every log, and so is everything
   * in it.
   *
   * @returns the epoch that has ended
   */
  endEpoch(): Promise<number> {
    return this.#inTurn(async () => (await this.#endEpoch()).epoch);
  }

  /**
   * Makes a checkpoint: ends the epoch, has the snapshot taken, notes durably that the snapshot stands for everything up
   * to the end of the epoch, and then removes the segments that are not needed any more. Writers go on meanwhile.
   *
   * What fails before the snapshot is noted leaves the checkpoint before it as it was. Where only removing segments
   * fails, {@link lastCheckpoint} is the new one already, and {@link truncate} tries again.
   *
   * @throws what `takeSnapshot` throws; `WAL_STATE` while another one is being made; `WAL_NO_SPACE`, `WAL_IO_FAILED`: with
   * the reason `'outcome-unknown'` where a crash leaves this one or the one before
   */
  async checkpoint(takeSnapshot: TakeSnapshot): Promise<PerCoreCheckpoint> {
    if (typeof takeSnapshot !== 'function') throw invalidType('takeSnapshot', 'a function', takeSnapshot);
    this.#throwIfCheckpointing();
    this.#checkpointing = true;
    try {
      const checkpoint = await this.#inTurn(async () => this.#begin(await this.#endEpoch()));
      await takeSnapshot(checkpoint);
      await this.#inTurn(() => this.#complete(checkpoint));
      return checkpoint;
    } finally {
      this.#checkpointing = false;
    }
  }

  /** Drops the segments that the last checkpoint has made superfluous, and that were not dropped with it. */
  truncate(): Promise<TruncatedLogs> {
    return this.#inTurn(async () => {
      const { checkpoint } = this.#manifest;
      return checkpoint === undefined ? NOTHING_TRUNCATED : this.#truncate(checkpoint, 0);
    });
  }

  /**
   * Forgets every entry up to now, and everything that was committed: a checkpoint of nothing. Epochs and LSNs go on.
   */
  async reset(): Promise<TruncatedLogs> {
    this.#throwIfCheckpointing();
    return this.#inTurn(async () => {
      const { epoch, cores } = await this.#endEpoch();
      const empty = cores.map(({ committedBeforeLeaving: _, ...place }) => ({
        ...place,
        committed: NOTHING_COMMITTED,
      }));
      const checkpoint = this.#next({ epoch, cores: empty }, false);
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
      await Promise.all(cores.map(({ coreId, lsn }) => this.#coreOf(coreId).forgetCommitted(lsn)));
      return this.#truncate(checkpoint, 1);
    });
  }

  /** Ends the epoch, and accepts nothing more. A snapshot that is being taken is not waited for. */
  close(): Promise<number> {
    const ended = this.endEpoch();
    this.#closed = true;
    return ended;
  }

  /** Waits for what is under way, whatever becomes of it. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** Runs a task after all that came before. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closedError());
    const done = this.#last.then(task);
    // The next one does not care what became of this one.
    this.#last = done.catch(() => {});
    return done;
  }

  async #endEpoch(): Promise<EndedEpoch> {
    const epoch = this.#epochs.advance() - 1;
    const barriers = withoutSuperseded(await Promise.all(this.#cores.map((core) => core.endEpoch(epoch))));
    const cores = this.#cores.map(({ coreId }, index) => placeAt(coreId, barriers[index] as DurableBarrier));
    return { epoch, cores: cores.sort((one, other) => one.coreId - other.coreId) };
  }

  async #complete(checkpoint: PerCoreCheckpoint): Promise<void> {
    await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
    await this.#truncate(checkpoint, 0);
  }

  /** Notes that a snapshot is begun: its number is used up, and what a crash leaves of it is known to be incomplete. */
  async #begin(ended: EndedEpoch): Promise<PerCoreCheckpoint> {
    const pending = this.#next(ended, true);
    await this.#write({ ...this.#manifest, pending });
    return pending;
  }

  #next({ epoch, cores }: EndedEpoch, snapshot: boolean): PerCoreCheckpoint {
    const id = ++this.#lastId;
    return Object.freeze({ id, epoch, createdAtMs: timeOf(this.#world.now()), snapshot, cores });
  }

  async #write(manifest: Manifest): Promise<void> {
    await runAsync(this.#world.io, writeManifest(this.#world.io, this.#directory, manifest));
    this.#manifest = manifest;
    this.#manifestUnsure = false;
  }

  /**
   * @param beyond - 0 keeps the barrier itself, with which nothing has to be rolled; 1 drops it too, where nothing is
   * behind it
   */
  async #truncate({ cores }: PerCoreCheckpoint, beyond: 0 | 1): Promise<TruncatedLogs> {
    if (this.#manifestUnsure) await this.#write(this.#manifest);
    const sum = { ...NOTHING_TRUNCATED };
    const truncated = await Promise.all(
      cores.map(({ coreId, lsn, left }) => this.#coreOf(coreId).truncateBefore(lsn + (left ? 1 : beyond))),
    );
    for (const { segmentsDeleted, segmentsRecycled, bytesReclaimed, segmentsLeft } of truncated) {
      sum.segmentsDeleted += segmentsDeleted;
      sum.segmentsRecycled += segmentsRecycled;
      sum.bytesReclaimed += bytesReclaimed;
      sum.segmentsLeft += segmentsLeft;
    }
    return Object.freeze(sum);
  }

  #throwIfCheckpointing(): void {
    if (!this.#checkpointing) return;
    throw new WalError('WAL_STATE', 'a checkpoint is being made: wait for it, outside of its snapshot', {
      path: this.#directory,
      state: 'checkpointing',
    });
  }

  #closedError(): WalError {
    return new WalError('WAL_CLOSED', `the per-core log in ${this.#directory} was closed`, {
      path: this.#directory,
      state: 'closed',
    });
  }

  #coreOf(coreId: number): Core {
    const core = this.#cores.find((each) => each.coreId === coreId);
    if (core === undefined) throw new WalError('WAL_STATE', `there is no core ${coreId}`, { state: 'running' });
    return core;
  }
}

/** A time that can be written, whatever the clock says. */
const timeOf = (ms: number): number => (ms > 0 ? Math.min(Math.floor(ms), Number.MAX_SAFE_INTEGER) : 0);

const NOTHING_TRUNCATED = Object.freeze({
  segmentsDeleted: 0,
  segmentsRecycled: 0,
  bytesReclaimed: 0,
  segmentsLeft: 0,
});

/** Where the checkpoint ends in the log of a core: behind its barrier, which is durable, and not where the log ends now. */
function placeAt(coreId: number, barrier: DurableBarrier): CheckpointPlace {
  const { lsn, position, timestampUs, left, committed, commitPlaces } = barrier;
  const place = { coreId, lsn, position, timestampUs, left, committed };
  // Of a core that has left, all are.
  const before = left ? [] : [...commitPlaces.left].filter((source) => committed.offsets.has(source));
  return Object.freeze(before.length === 0 ? place : { ...place, committedBeforeLeaving: before });
}
