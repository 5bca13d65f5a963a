import { expect, test } from 'vitest';
import { backendNamed } from '../src/torture/backends.js';
import { Ledger } from '../src/torture/expected/ledger.js';
import type { Report } from '../src/torture/reports.js';
import { Tally } from '../src/torture/tally.js';
import { TorturedLog } from '../src/torture/tortured-log.js';
import type { Variant } from '../src/torture/variant.js';
import type { Crew } from '../src/torture/victims/crew.js';
import { Transcript, type Victim } from '../src/torture/victims/victim.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

const VARIANT: Variant = {
  backend: backendNamed('sync-fs'),
  api: 'segmented',
  padGroups: false,
  victims: 'workers',
  place: 'plain',
};

class Log extends TorturedLog {
  readonly ledger = new Ledger();
  protected readonly locked = [];
  async inspect(): Promise<void> {}
  plant(): undefined {}
}

/** A run that reports the same whatever time it has. */
class Told implements Victim {
  readonly transcript = new Transcript();
  readonly tellsAtOnce = false;
  readonly #reports: readonly Report[];

  constructor(reports: readonly Report[]) {
    this.#reports = reports;
  }

  start(): void {}

  async kill(): Promise<void> {
    this.transcript.reports.push(...this.#reports);
  }
}

/** A log of which each run reports what the next one of the list says; the last of them again and again. */
function logOf(...runs: readonly (readonly Report[])[]): { readonly log: Log; readonly tally: Tally } {
  let run = 0;
  const next = (): Victim => new Told(runs[Math.min(run++, runs.length - 1)] ?? []);
  const tally = new Tally();
  const log = new Log(VARIANT, temporaryDirectory(), 1, { next } as unknown as Crew, tally);
  return { log, tally };
}

const opened: Report = { what: 'opened', firstLsn: 1, nextLsn: 1 };

test('a log whose runs never come to anything has broken a promise', async () => {
  const { log, tally } = logOf([], [opened]);
  await log.goOn(300);
  expect(log.breach?.text).toMatch(/^in a run of \d+ ms nothing was acknowledged$/);
  expect(tally.breaches).toBe(1);
});

test('a log goes on as soon as a run has something acknowledged', async () => {
  const { log, tally } = logOf([], [opened], [opened, { what: 'acknowledged', lsn: 3 }]);
  await log.goOn(2000);
  expect([log.breach, tally.terminations]).toEqual([undefined, 3]);
});
