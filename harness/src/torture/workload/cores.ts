import { join } from 'node:path';
import { type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import type { Random } from '../../random.js';
import { configOf } from '../config.js';
import { type Counts, Snapshots } from '../expected/snapshots.js';
import { CORES_MAX, takeStock } from '../expected/stock-taking.js';
import type { Job } from '../job.js';
import type { Report } from '../reports.js';

const CORES = 3;

/** The directory of a log of several cores, beside the snapshots of its checkpoints. */
export const directoryOfCores = (folder: string): string => join(folder, 'cores');

/** A log of several cores that is open, with its snapshots. Whatever it is found to hold and promises is reported. */
export class Cores {
  readonly manager: PerCoreWalManager;
  /** How many puts of each core were there when it was opened. */
  readonly found: Counts;
  readonly #snapshots: Snapshots;
  readonly #report: (report: Report) => void;

  private constructor(
    manager: PerCoreWalManager,
    found: Counts,
    snapshots: Snapshots,
    report: (report: Report) => void,
  ) {
    this.manager = manager;
    this.found = found;
    this.#snapshots = snapshots;
    this.#report = report;
  }

  /** Opens it, with the usual number of cores or by chance another one. */
  static async open(
    { directory, seed, options }: Pick<Job, 'directory' | 'seed' | 'options'>,
    random: Random,
    how: Pick<PerCoreWalConfig, 'io' | 'workers'>,
    report: (report: Report) => void,
  ): Promise<Cores> {
    const snapshots = new Snapshots(directory);
    let found: Counts = new Map();
    const manager = await PerCoreWalManager.open({
      ...configOf(options),
      ...how,
      directory: directoryOfCores(directory),
      cores: random.chance(0.8) ? CORES : random.integer(1, CORES_MAX),
      incomplete: 'take',
      recover: async (recovery) => {
        found = await takeStock(recovery, snapshots, { seed, options }, report);
      },
    });
    return new Cores(manager, found, snapshots, report);
  }

  /** Reports that everything up to these puts is durable. */
  acknowledged(counts: Counts): void {
    for (const [core, lsn] of counts) this.#report({ what: 'acknowledged', core, lsn });
  }

  /** Makes a checkpoint. @param upTo - how many puts the writers have made up to the end of an epoch */
  async checkpoint(upTo: (epoch: number) => Promise<Counts>): Promise<void> {
    let covered: Counts = new Map();
    const { id } = await this.manager.checkpoint(async (checkpoint) => {
      const counts = await upTo(checkpoint.epoch);
      // The epoch is complete.
      this.acknowledged(counts);
      covered = new Map([...this.found, ...counts]);
      for (const [core, count] of covered) this.#report({ what: 'truncating', core, lsn: count + 1 });
      this.#snapshots.write(checkpoint.id, covered);
    });
    for (const [core, count] of covered) this.#report({ what: 'truncated', core, firstLsn: count + 1 });
    this.#snapshots.removeBefore(id);
  }
}
