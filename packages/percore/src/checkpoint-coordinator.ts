import { invalidType, WalError } from '@walstack/codec';
import type { World } from '@walstack/segmented';
import { runAsync } from '@walstack/storage-io';
import { NOTHING_COMMITTED } from './commit.js';
import type { Core, DurableBarrier } from './core.js';
import type { SharedEpochs } from './epochs.js';
import { type CheckpointPlace, type Manifest, type PerCoreCheckpoint, writeManifest } from './manifest.js';

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
}

/** An epoch that is complete, and where it ends in each log. */
interface EndedEpoch {
  readonly epoch: number;
  readonly cores: readonly CheckpointPlace[];
}

/**
 * Ends epochs and makes checkpoints over the logs of all cores: one thing at a time, in the order of the calls.
 *
 * A checkpoint becomes the one that recovery begins from by one rename, of the manifest: when its barriers are durable in
 * every log, and its snapshot is made. Nothing is removed before that is durable. So a crash at any moment leaves this
 * checkpoint or the one before, whole.
 */
export class CheckpointCoordinator {
  readonly #world: Pick<World, 'io' | 'now'>;
  readonly #directory: string;
  readonly #epochs: SharedEpochs;
  readonly #cores: readonly Core[];
  #manifest: Manifest;
  #last: Promise<unknown> = Promise.resolve();

  /** @param manifest - as it is on the disk */
  constructor(
    world: Pick<World, 'io' | 'now'>,
    directory: string,
    epochs: SharedEpochs,
    cores: readonly Core[],
    manifest: Manifest,
  ) {
    this.#world = world;
    this.#directory = directory;
    this.#epochs = epochs;
    this.#cores = cores;
    this.#manifest = manifest;
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
   * to the end of the epoch, and then lets go of the segments that nobody needs any more. Writers go on meanwhile.
   *
   * What fails before the snapshot is noted leaves the checkpoint before it as it was. Where only letting go of segments
   * fails, {@link lastCheckpoint} is the new one already, and {@link truncate} tries again.
   *
   * @throws what `takeSnapshot` throws; `WAL_NO_SPACE`, `WAL_IO_FAILED`
   */
  async checkpoint(takeSnapshot: TakeSnapshot): Promise<PerCoreCheckpoint> {
    if (typeof takeSnapshot !== 'function') throw invalidType('takeSnapshot', 'a function', takeSnapshot);
    return this.#inTurn(async () => {
      const checkpoint = await this.#begin(await this.#endEpoch());
      await takeSnapshot(checkpoint);
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
      await this.#truncate(checkpoint, 0);
      return checkpoint;
    });
  }

  /** Lets go of the segments that the last checkpoint has made superfluous, and were not let go of with it. */
  truncate(): Promise<TruncatedLogs> {
    return this.#inTurn(async () => {
      const { checkpoint } = this.#manifest;
      return checkpoint === undefined ? NOTHING_TRUNCATED : this.#truncate(checkpoint, 0);
    });
  }

  /**
   * Forgets every entry up to now, and everything that was committed: a checkpoint of nothing. Epochs and LSNs go on.
   */
  reset(): Promise<TruncatedLogs> {
    return this.#inTurn(async () => {
      const { epoch, cores } = await this.#endEpoch();
      const empty = cores.map((place) => ({ ...place, committed: NOTHING_COMMITTED }));
      const checkpoint = this.#next({ epoch, cores: empty });
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
      await Promise.all(this.#cores.map((core) => core.forgetCommitted()));
      return this.#truncate(checkpoint, 1);
    });
  }

  /** Waits for what is under way, whatever becomes of it. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** Runs a task after all that came before. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#last.then(task);
    // The next one does not care what became of this one.
    this.#last = done.catch(() => {});
    return done;
  }

  async #endEpoch(): Promise<EndedEpoch> {
    const epoch = this.#epochs.advance() - 1;
    const barriers = await Promise.all(this.#cores.map((core) => core.endEpoch(epoch)));
    return { epoch, cores: this.#cores.map(({ coreId }, index) => placeAt(coreId, barriers[index] as DurableBarrier)) };
  }

  /** Notes that a snapshot is begun: its number is used up, and what a crash leaves of it is known to be incomplete. */
  async #begin(ended: EndedEpoch): Promise<PerCoreCheckpoint> {
    const pending = this.#next(ended);
    await this.#write({ ...this.#manifest, pending });
    return pending;
  }

  #next({ epoch, cores }: EndedEpoch): PerCoreCheckpoint {
    const { checkpoint, pending } = this.#manifest;
    const id = Math.max(checkpoint?.id ?? 0, pending?.id ?? 0) + 1;
    return Object.freeze({ id, epoch, createdAtMs: Math.floor(this.#world.now()), cores });
  }

  async #write(manifest: Manifest): Promise<void> {
    await runAsync(this.#world.io, writeManifest(this.#world.io, this.#directory, manifest));
    this.#manifest = manifest;
  }

  /**
   * @param beyond - 0 keeps the barrier itself, with which nothing has to be rolled; 1 lets go of it too, where nothing is
   * behind it
   */
  async #truncate({ cores }: PerCoreCheckpoint, beyond: 0 | 1): Promise<TruncatedLogs> {
    const sum = { ...NOTHING_TRUNCATED };
    const truncated = await Promise.all(
      cores.map(({ coreId, lsn, left }) => this.#coreOf(coreId).truncateBefore(lsn + (left ? 1 : beyond))),
    );
    for (const { segmentsDeleted, segmentsRecycled, bytesReclaimed } of truncated) {
      sum.segmentsDeleted += segmentsDeleted;
      sum.segmentsRecycled += segmentsRecycled;
      sum.bytesReclaimed += bytesReclaimed;
    }
    return Object.freeze(sum);
  }

  #coreOf(coreId: number): Core {
    const core = this.#cores.find((each) => each.coreId === coreId);
    if (core === undefined) throw new WalError('WAL_STATE', `there is no core ${coreId}`, { state: 'running' });
    return core;
  }
}

const NOTHING_TRUNCATED = Object.freeze({ segmentsDeleted: 0, segmentsRecycled: 0, bytesReclaimed: 0 });

/** Where the checkpoint ends in the log of a core: behind its barrier, which is durable, and not where the log ends now. */
function placeAt(coreId: number, { lsn, position, timestampUs, left, committed }: DurableBarrier): CheckpointPlace {
  return Object.freeze({ coreId, lsn, position, timestampUs, left, committed });
}
