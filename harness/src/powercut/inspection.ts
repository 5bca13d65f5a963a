import { mkdirSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import type { Random } from '../random.js';
import { backendNamed } from '../torture/backends.js';
import { configOf } from '../torture/config.js';
import { Contents } from '../torture/expected/contents.js';
import type { Accounts, Breach } from '../torture/expected/ledger.js';
import { Reading } from '../torture/expected/reading.js';
import { hasCores, type LogOptions } from '../torture/job.js';
import type { Report } from '../torture/reports.js';
import { Cores } from '../torture/workload/cores.js';
import { claimsOf } from '../torture/workload/deeds.js';
import { failureOf } from '../torture/workload/run.js';
import { accountsOf, type LogPlan } from './logs.js';

/** What came of a log: `refused` is one that does not open. */
type Verdict = 'kept' | 'lost' | 'refused' | 'broken';

/** A log that was looked at. */
export interface Finding {
  readonly verdict: Verdict;
  /** What is wrong; empty when nothing is. */
  readonly text: string;
}

const RECORDS_MORE = 20;

/** Looks at one log, as often as it is opened, and holds it against what it owes. */
export class Inspection {
  readonly #plan: LogPlan;
  readonly #accounts: Accounts;
  readonly #directory: string;
  readonly #random: Random;
  #run: number;
  #breach: Breach | undefined;
  #refused = false;

  /**
   * @param runs - what it has reported in each
   * @param directory - where it is
   */
  constructor(plan: LogPlan, runs: readonly (readonly Report[])[], directory: string, random: Random) {
    this.#plan = plan;
    this.#accounts = accountsOf(plan);
    this.#directory = directory;
    this.#run = runs.length;
    this.#random = random;
    for (const [index, reports] of runs.entries()) {
      this.#breach ??= this.#accounts.takeAll(index + 1, reports);
      // Each run has ended with a power cut.
      this.#accounts.losePower();
    }
  }

  get finding(): Finding {
    const breach = this.#breach;
    if (breach === undefined) return { verdict: 'kept', text: '' };
    const verdict = this.#refused ? 'refused' : breach.lost > 0 ? 'lost' : 'broken';
    return { verdict, text: `${this.#plan.name}: ${breach.text}` };
  }

  /** Opens it and compares everything. @param goesOn - whether it is written to as well */
  async look(goesOn: boolean): Promise<void> {
    if (this.#breach !== undefined) return;
    this.#run++;
    this.#refused = false;
    // A preset is of `Wal` only, and a log that has one drops nothing by itself.
    const { preset, retainBytes, ...others } = this.#plan.options;
    const here = preset === undefined && retainBytes !== undefined ? { ...others, retainBytes } : others;
    try {
      if (hasCores(this.#plan.api)) await this.#lookAtCores(here, goesOn);
      else await this.#lookAtSegments(here, goesOn);
    } catch (error) {
      this.#refused = WalError.is(error);
      this.#take(failureOf(error));
    }
  }

  async #lookAtSegments(options: LogOptions, goesOn: boolean): Promise<void> {
    const { io } = backendNamed(this.#random.pick(['sync-fs', 'io-uring', 'thread-pool'])).options;
    const log = await SegmentedWal.open({ ...configOf(options), io, directory: this.#directory });
    try {
      await this.#readAndWrite(log, options, goesOn);
    } finally {
      await log.close();
    }
  }

  async #readAndWrite(log: SegmentedWal, options: LogOptions, goesOn: boolean): Promise<void> {
    this.#take({ what: 'opened', firstLsn: log.firstLsn, nextLsn: log.nextLsn });
    this.#take(claimsOf(log));
    const contents = new Contents(this.#plan.seed, options);
    const reading = new Reading(contents, this.#take);
    await log.replay({ copy: false }).forEach(reading.take);
    reading.done();
    if (goesOn) {
      for (let record = 0; record < RECORDS_MORE; record++) {
        const { payload, options: more } = contents.of(this.#run, log.nextLsn);
        log.append(payload, more);
      }
      await log.sync();
      this.#take({ what: 'acknowledged', lsn: log.lastLsn });
    }
  }

  async #lookAtCores(options: LogOptions, goesOn: boolean): Promise<void> {
    const { seed } = this.#plan;
    mkdirSync(this.#directory, { recursive: true });
    const place = { directory: this.#directory, seed, options };
    const cores = await Cores.open(place, this.#random, { io: 'sync-fs' }, this.#take);
    if (goesOn) await cores.checkpoint(async () => cores.found);
    await cores.manager.close();
  }

  readonly #take = (report: Report): void => {
    this.#breach ??= this.#accounts.take(this.#run, report);
  };
}
