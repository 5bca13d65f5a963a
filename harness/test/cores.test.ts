import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Random } from '../src/random.js';
import { PLANTS, plantLoss } from '../src/torture/damage/plant.js';
import { CoreLedgers } from '../src/torture/expected/core-ledgers.js';
import type { Breach } from '../src/torture/expected/ledger.js';
import type { Job } from '../src/torture/job.js';
import type { Report } from '../src/torture/reports.js';
import { isPut } from '../src/torture/tortured-cores.js';
import { authorsOf } from '../src/torture/workload/authors.js';
import { Cores, directoryOfCores } from '../src/torture/workload/cores.js';
import { failureOf } from '../src/torture/workload/run.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

/** A log of several cores, and what it owes. */
class Debtor {
  readonly folder = temporaryDirectory();
  readonly ledgers = new CoreLedgers();
  readonly #job: Job = {
    directory: this.folder,
    backend: 'sync-fs',
    api: 'percore',
    options: {
      blockBytes: 512,
      segmentBytes: 4096,
      padGroups: false,
      markAfterMs: 5,
      maxInFlight: 4,
      directIo: false,
      preallocate: 'write',
      recycleSegments: 1,
      encrypted: false,
      compressed: false,
    },
    seed: 5,
    run: 1,
    check: true,
    mayFill: false,
  };

  /** A run that ends well. @returns the first promise that was found broken */
  async run(run: number, { checkpoint = false } = {}): Promise<Breach | undefined> {
    const reports: Report[] = [];
    const report = (each: Report): number => reports.push(each);
    try {
      const cores = await Cores.open(this.#job, new Random(1), { io: 'sync-fs' }, report);
      const authors = authorsOf(cores.manager, { ...this.#job, run }, 'percore', cores.found, report);
      await cores.manager.endEpoch();
      if (checkpoint) await cores.checkpoint((epoch) => authors.upTo(epoch));
      await cores.manager.endEpoch();
      cores.acknowledged(await authors.close());
    } catch (error) {
      report(failureOf(error));
    }
    return this.ledgers.takeAll(run, reports);
  }
}

test('a log of several cores keeps its promises, checkpoint or not', async () => {
  const debtor = new Debtor();
  for (let run = 1; run <= 6; run++) {
    expect(await debtor.run(run, { checkpoint: run % 2 === 0 })).toBeUndefined();
    const snapshots = readdirSync(debtor.folder).filter((name) => name.startsWith('snapshot'));
    expect(snapshots).toEqual(run === 1 ? [] : [`snapshot-${Math.floor(run / 2)}`]);
  }
  expect(debtor.ledgers.acknowledged).toBeGreaterThan(6);
});

test.each(PLANTS)('a put of one core that is destroyed by "%s" is found', async (plant) => {
  const debtor = new Debtor();
  expect(await debtor.run(1)).toBeUndefined();
  const directory = join(directoryOfCores(debtor.folder), 'core-1');
  let { required = 0 } = debtor.ledgers.cores.get(1) ?? {};
  // Not every segment has a put that has bytes to be changed.
  while (required > 0 && plantLoss(directory, plant, required, isPut) === undefined) required--;
  expect(required).toBeGreaterThan(0);
  const { lost } = (await debtor.run(2)) ?? {};
  expect(lost).toBeGreaterThan(0);
});

test.each([
  ['more puts than it has', 1, 'records from LSN'],
  ['fewer puts than it has', -1, 'was truncated to LSN'],
])('a snapshot that stands for %s is found', async (_what, change, message) => {
  const debtor = new Debtor();
  expect(await debtor.run(1, { checkpoint: true })).toBeUndefined();
  const path = join(debtor.folder, 'snapshot-1');
  const counts = JSON.parse(readFileSync(path, 'utf8')) as [number, number][];
  writeFileSync(path, JSON.stringify(counts.map(([core, count]) => [core, count + change])));
  expect(await debtor.run(2)).toMatchObject({ text: expect.stringContaining(message) });
});
