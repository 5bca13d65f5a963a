import { WalError } from '@walstack/codec';
import { invalidType } from '@walstack/codec/internal';
import type { Environment } from '@walstack/segmented';
import { runAsync } from '@walstack/storage-io';
import { NOTHING_COMMITTED } from '../commits/commit.js';
import { NO_PLACES } from '../commits/commit-ledger.js';
import { outdatedSources, withoutSuperseded } from '../commits/superseded-commits.js';
import type { ActiveCore, CheckpointedCore, DurableBarrier } from '../core/core-handle.js';
import type { SharedEpochs } from '../core/epochs/epochs.js';
import type { LogDirectory } from '../options.js';
import { type CheckpointPlace, type Manifest, type PerCoreCheckpoint, writeManifest } from '../recovery/manifest.js';

/**
 * Makes a snapshot of the state that results from all entries up to the end of the checkpoint's epoch. Its result is
 * awaited; the snapshot must be durable then.
 */
export type TakeSnapshot = (checkpoint: PerCoreCheckpoint) => unknown;

/** The segments that truncation removed, of all cores together. */
export interface TruncatedLogs {
  readonly segmentsDeleted: number;
  readonly segmentsRecycled: number;
  readonly bytesReclaimed: number;
  /** Segments whose files could not be removed; the next truncation tries again. */
  readonly segmentsLeft: number;
}

/** A complete epoch, and where it ends in each log. */
interface EndedEpoch {
  readonly epoch: number;
  /** In the order of their ids. */
  readonly cores: readonly CoreBarrier[];
}

interface CoreBarrier extends DurableBarrier {
  readonly coreId: number;
}

/**
 * Ends epochs and makes checkpoints over the logs of all cores: one operation at a time, in the order of the calls. While a
 * snapshot is taken, everything but a further checkpoint continues.
 *
 * A checkpoint becomes the starting point of recovery by a single rename, of the manifest, after its barriers are durable in
 * every log and its snapshot is made. Segments are removed only when that rename is durable. So a crash at any moment
 * leaves either this checkpoint or the one before it, complete.
 */
export class CheckpointCoordinator {
  readonly #environment: LogDirectory & Pick<Environment, 'now'>;
  readonly #epochs: SharedEpochs;
  readonly #active: readonly ActiveCore[];
  /** All of them, the retired ones behind the active ones. */
  readonly #cores: readonly CheckpointedCore[];
  #manifest: Manifest;
  /** The manifest on the disk may not be durable. */
  #manifestMayBeLost: boolean;
  /** The id of the last checkpoint that was begun, even if no manifest contains it. */
  #lastId: number;
  #checkpointing = false;
  #closed = false;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    environment: LogDirectory & Pick<Environment, 'now'>,
    epochs: SharedEpochs,
    active: readonly ActiveCore[],
    retired: readonly CheckpointedCore[],
    manifest: Manifest,
    manifestMayBeLost: boolean,
  ) {
    this.#environment = environment;
    this.#epochs = epochs;
    this.#active = active;
    this.#cores = [...active, ...retired];
    this.#manifest = manifest;
    this.#manifestMayBeLost = manifestMayBeLost;
    const { checkpoint, pending, lastId = 0 } = manifest;
    this.#lastId = Math.max(checkpoint?.id ?? 0, pending?.id ?? 0, lastId);
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeCoordinator` uses it.
  private static make(
    environment: LogDirectory & Pick<Environment, 'now'>,
    epochs: SharedEpochs,
    active: readonly ActiveCore[],
    retired: readonly CheckpointedCore[],
    manifest: Manifest,
    manifestMayBeLost: boolean,
  ): CheckpointCoordinator {
    return new CheckpointCoordinator(environment, epochs, active, retired, manifest, manifestMayBeLost);
  }

  /** The last complete checkpoint; `undefined` when there is none. */
  get lastCheckpoint(): PerCoreCheckpoint | undefined {
    return this.#manifest.checkpoint;
  }

  /**
   * Ends the current epoch. It is complete when this resolves: its barrier and all its entries are durable in every log.
   *
   * @returns the epoch that has ended
   */
  endEpoch(): Promise<number> {
    return this.#inTurn(async () => (await this.#endEpoch()).epoch);
  }

  /**
   * Makes a checkpoint: ends the epoch, awaits the snapshot, records durably that the snapshot covers everything up to the
   * end of the epoch, and then removes the segments that are no longer needed. Writers continue meanwhile.
   *
   * A failure before the snapshot is recorded leaves the previous checkpoint unchanged. If only the removal of segments
   * fails, {@link lastCheckpoint} is the new one already, and {@link truncate} tries again.
   *
   * @throws what `takeSnapshot` throws; `WAL_STATE` during another checkpoint; `WAL_NO_SPACE`, `WAL_IO_FAILED`: with
   * the reason `'outcome-unknown'` when a crash leaves either this checkpoint or the one before
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

  /** Removes the segments that the last checkpoint covers and that could not be removed with it. */
  truncate(): Promise<TruncatedLogs> {
    return this.#inTurn(async () => {
      const { checkpoint } = this.#manifest;
      return checkpoint === undefined ? NOTHING_TRUNCATED : this.#truncate(checkpoint, 0);
    });
  }

  /**
   * Discards every entry up to now, and everything that was committed, with an empty checkpoint. Epochs and LSNs continue.
   */
  async reset(): Promise<TruncatedLogs> {
    this.#throwIfCheckpointing();
    return this.#inTurn(async () => {
      const { epoch, cores } = await this.#endEpoch();
      const empty = cores.map((core) => ({ ...core, committed: NOTHING_COMMITTED, commitPlaces: NO_PLACES }));
      const checkpoint = this.#next({ epoch, cores: empty }, false);
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
      await Promise.all(cores.map(({ coreId, lsn }) => this.#coreOf(coreId).forgetCommitted(lsn)));
      return this.#truncate(checkpoint, 1);
    });
  }

  /** Ends the epoch, and rejects further calls. It does not wait for a snapshot that is being taken. */
  close(): Promise<number> {
    const ended = this.endEpoch();
    this.#closed = true;
    return ended;
  }

  /** Waits until the running operations have ended, with success or not. */
  async idle(): Promise<void> {
    await this.#last;
  }

  /** Runs a task after all earlier ones. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(this.#closedError());
    const done = this.#last.then(task);
    // The next task runs even if this one fails.
    this.#last = done.catch(() => {});
    return done;
  }

  async #endEpoch(): Promise<EndedEpoch> {
    const epoch = this.#epochs.advance() - 1;
    const ended = await Promise.all(this.#cores.map((core) => core.endEpoch(epoch)));
    // Perhaps no log has a barrier of this epoch: then nothing else would show that its number was used.
    const [first] = this.#active;
    if (first !== undefined && ended.every(({ retired }) => retired)) ended[0] = await first.repeatLastBarrier(epoch);
    const barriers = withoutSuperseded(ended);
    const cores = this.#cores.map(({ coreId }, index) => ({ coreId, ...(barriers[index] as DurableBarrier) }));
    return { epoch, cores: cores.sort((one, other) => one.coreId - other.coreId) };
  }

  async #complete(checkpoint: PerCoreCheckpoint): Promise<void> {
    await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
    await this.#truncate(checkpoint, 0);
  }

  /** Records that a snapshot is begun: its id is used up, and a crash before its completion is recognized. */
  async #begin(ended: EndedEpoch): Promise<PerCoreCheckpoint> {
    const pending = this.#next(ended, true);
    await this.#write({ ...this.#manifest, pending });
    return pending;
  }

  #next({ epoch, cores: ended }: EndedEpoch, snapshot: boolean): PerCoreCheckpoint {
    const id = ++this.#lastId;
    const outdated = outdatedSources(ended);
    const cores = ended.map((core, index) => placeAt(core, outdated[index] as readonly string[]));
    return Object.freeze({ id, epoch, createdAtMs: timeOf(this.#environment.now()), snapshot, cores });
  }

  async #write(manifest: Manifest): Promise<void> {
    await runAsync(this.#environment.io, writeManifest(this.#environment, manifest));
    this.#manifest = manifest;
    this.#manifestMayBeLost = false;
  }

  /**
   * @param beyond - 0 keeps the barrier itself, so that no log has to roll; 1 also drops the barrier when nothing follows it
   */
  async #truncate({ cores }: PerCoreCheckpoint, beyond: 0 | 1): Promise<TruncatedLogs> {
    if (this.#manifestMayBeLost) await this.#write(this.#manifest);
    const sum = { ...NOTHING_TRUNCATED };
    const truncated = await Promise.all(
      cores.map(({ coreId, lsn, retired }) => this.#coreOf(coreId).truncateBefore(lsn + (retired ? 1 : beyond))),
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
    throw new WalError('WAL_STATE', 'a checkpoint is being made: await it first, and not inside its snapshot', {
      path: this.#environment.directory,
      state: 'checkpointing',
    });
  }

  #closedError(): WalError {
    return new WalError('WAL_CLOSED', `the per-core log in ${this.#environment.directory} was closed`, {
      path: this.#environment.directory,
      state: 'closed',
    });
  }

  #coreOf(coreId: number): CheckpointedCore {
    const core = this.#cores.find((each) => each.coreId === coreId);
    if (core === undefined) throw new WalError('WAL_STATE', `there is no core ${coreId}`, { state: 'running' });
    return core;
  }
}

/**
 * Makes the coordinator of a manager.
 *
 * @param active - at least one
 * @param manifest - as it is on the disk
 * @param manifestMayBeLost - it may not be durable: it is written again before a log is changed on its account
 */
export const makeCoordinator: (
  environment: LogDirectory & Pick<Environment, 'now'>,
  epochs: SharedEpochs,
  active: readonly ActiveCore[],
  retired: readonly CheckpointedCore[],
  manifest: Manifest,
  manifestMayBeLost: boolean,
) => CheckpointCoordinator = CheckpointCoordinator['make'];

/** A time that the manifest can hold; 0 when the clock returns no valid time. */
const timeOf = (ms: number): number => (ms > 0 ? Math.min(Math.floor(ms), Number.MAX_SAFE_INTEGER) : 0);

const NOTHING_TRUNCATED = Object.freeze({
  segmentsDeleted: 0,
  segmentsRecycled: 0,
  bytesReclaimed: 0,
  segmentsLeft: 0,
});

/**
 * Where the checkpoint ends in the log of a core: after its durable barrier, and not where the log ends now.
 *
 * @param outdated - the sources that another core has committed in a later epoch
 */
function placeAt(barrier: CoreBarrier, outdated: readonly string[]): CheckpointPlace {
  const { coreId, lsn, position, timestampUs, retired, committed, commitPlaces } = barrier;
  const place = { coreId, lsn, position, timestampUs, retired, committed };
  // Of a retired core, this holds for all sources: they are not named.
  const before = retired ? [] : [...commitPlaces.retired].filter((source) => committed.offsets.has(source));
  return Object.freeze({
    ...place,
    ...(before.length === 0 ? {} : { committedBeforeRetirement: before }),
    ...(outdated.length === 0 ? {} : { outdated }),
  });
}
