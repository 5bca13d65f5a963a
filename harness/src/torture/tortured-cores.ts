import { join } from 'node:path';
import { RECORD_HEADER_BYTES, type RecordHeader } from '@walstack/codec';
import { type Plant, plantLoss } from './damage/plant.js';
import { CoreLedgers } from './expected/core-ledgers.js';
import { CORES_MAX } from './expected/stock-taking.js';
import { TorturedLog } from './tortured-log.js';
import { Cores, directoryOfCores } from './workload/cores.js';
import { failureOf } from './workload/run.js';

/** Bytes of an entry before its value, and some of that. */
const ENTRY_BYTES = 40;

/** A log of several cores, each with a writer of its own. */
export class TorturedCores extends TorturedLog {
  readonly ledger = new CoreLedgers();

  protected get locked(): readonly string[] {
    const cores = Array.from({ length: CORES_MAX }, (_, core) => this.#directoryOf(core));
    return [directoryOfCores(this.directory), ...cores];
  }

  async inspect(): Promise<void> {
    if (this.breach !== undefined) return;
    this.beginHere();
    const { directory, seed, options, random } = this;
    try {
      const cores = await Cores.open({ directory, seed, options }, random, { io: 'sync-fs' }, this.take);
      // What is broken stays as it was found.
      if (this.breach === undefined && random.chance(0.5)) await cores.checkpoint(async () => cores.found);
      await cores.manager.close();
    } catch (error) {
      this.take(failureOf(error));
    }
  }

  /** Only where nothing was dropped: what a checkpoint stands for need not be missed. */
  plant(how: Plant): string | undefined {
    for (const [core, { owed, required }] of this.ledger.cores) {
      if (owed === 0 || owed < required) continue;
      // Barriers have LSNs, too, so what has the number of a put that has to be there has to be there as well.
      const done = plantLoss(this.#directoryOf(core), how, required, isPut);
      if (done !== undefined) return done;
    }
    return undefined;
  }

  #directoryOf(core: number): string {
    return join(directoryOfCores(this.directory), `core-${core}`);
  }
}

/** Only puts have keys. */
export const isPut = ({ length, metaLength }: RecordHeader): boolean =>
  metaLength > 0 && length > RECORD_HEADER_BYTES + metaLength + ENTRY_BYTES;
