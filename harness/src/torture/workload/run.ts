import { setTimeout as sleep } from 'node:timers/promises';
import { WalError } from '@walstack/codec';
import { Batch, SegmentedWal } from '@walstack/segmented';
import { Wal } from '@walstack/wal';
import { Random } from '../../random.js';
import { backendNamed } from '../backends.js';
import { configOf, retains } from '../config.js';
import { type Content, Contents } from '../expected/contents.js';
import { generationOf } from '../expected/generations.js';
import { Reading } from '../expected/reading.js';
import { hasCores, type Job } from '../job.js';
import type { Report } from '../reports.js';
import { runWithCores } from './cores-run.js';
import {
  type Circumstances,
  claimsOf,
  type Deed,
  drawDeed,
  endOf,
  type Keeper,
  perform,
  performSync,
} from './deeds.js';

/** Callers of `commit` at a time. */
const COMMITTERS = 4;

/** One process run: opens the log, writes to it without end, and reports what it was promised. It is ended by force. */
export async function runJob(job: Job, report: (report: Report) => void): Promise<void> {
  try {
    if (hasCores(job.api)) return await runWithCores(job, job.api, report);
    const run = new LogRun(job, report);
    if (job.salvage !== undefined) report({ what: 'salvaging' });
    if (job.api === 'wal') await run.withWal();
    else if (job.api === 'segmented') await run.withSegmentedWal();
    else run.blocking();
  } catch (error) {
    if (job.mayFill && WalError.is(error, 'WAL_NO_SPACE')) {
      // Reported again and again, so that it ends when nothing reads the reports any more.
      for (;;) {
        report({ what: 'full' });
        await sleep(1000);
      }
    }
    report(failureOf(error));
  }
}

/** What is reported of an error that should not have been. */
export function failureOf(error: unknown): Report {
  const text = error instanceof Error ? `${error.stack}` : String(error);
  return { what: 'wrong', text, ...(WalError.is(error) ? { code: error.code } : {}) };
}

/** How often something else is asked of a log than to take records. */
const DEEDS = 0.12;

/** Where the log of a run stands, for both classes of logs. */
interface Standing extends Keeper {
  append(payload: Uint8Array, options: object): number;
  appendBatch(batch: Batch): number;
}

class LogRun {
  readonly #job: Job;
  readonly #report: (report: Report) => void;
  readonly #contents: Contents;
  readonly #random: Random;
  readonly #circumstances: Circumstances;
  /** The last LSN that each cut of this run has left. */
  readonly #cuts: number[] = [];
  /** A deed is under way on `Wal`, of which there is one at a time. */
  #busy = false;
  /** Resolves when the cut is over that is under way: until then nothing new is begun. */
  #cutting: Promise<unknown> | undefined;

  constructor(job: Job, report: (report: Report) => void) {
    this.#job = job;
    this.#circumstances = { retains: retains(job.options), mayFill: job.mayFill };
    this.#report = report;
    this.#contents = new Contents(job.seed, job.options);
    this.#random = new Random(job.seed, job.run);
  }

  async withWal(): Promise<never> {
    const { directory, options, check } = this.#job;
    const wal = await Wal.open(directory, { ...configOf(options), ...this.#backend, ...this.#mode });
    this.#opened(wal);
    const reading = this.#reading();
    if (check) {
      await wal.replay('first', reading.take, { copy: false });
      reading.done();
    }
    const committer = async (random: Random): Promise<never> => {
      for (;;) await this.#useWal(wal, random);
    };
    const committers = Array.from({ length: COMMITTERS }, () => committer(new Random(this.#random.seed())));
    return Promise.race(committers);
  }

  async withSegmentedWal(): Promise<never> {
    const random = this.#random;
    for (let closed = false; ; closed = true) {
      const log = await SegmentedWal.open(this.#config);
      this.#opened(log);
      if (closed) this.#expectClean(log);
      const reading = this.#reading();
      if (this.#job.check) {
        await log.replay({ copy: false }).forEach(reading.take);
        reading.done();
      }
      while (random.chance(0.99)) {
        this.#appendSome(log);
        if (random.chance(0.2)) {
          const { lastLsn } = log;
          await log.flush();
          this.#flushed(lastLsn);
        }
        // What is appended while a sync is under way is for the next one.
        const { lastLsn } = log;
        const cuts = this.#cuts.length;
        const synced = log.sync();
        // What is done beside it may fail as well, and before it is waited for.
        synced.catch(() => {});
        if (random.chance(0.5)) this.#appendSome(log);
        // Beside the sync, or behind it.
        if (random.chance(DEEDS / 2)) await this.#doSomething(log);
        await synced;
        this.#acknowledged(lastLsn, cuts);
        if (random.chance(0.03)) await sleep(random.integer(0, 8));
        if (random.chance(DEEDS / 2)) await this.#doSomething(log);
      }
      const { lastLsn } = log;
      await log.close();
      this.#acknowledged(lastLsn);
    }
  }

  blocking(): never {
    const random = this.#random;
    for (let closed = false; ; closed = true) {
      const log = SegmentedWal.openSync(this.#config);
      this.#opened(log);
      if (closed) this.#expectClean(log);
      const reading = this.#reading();
      if (this.#job.check) {
        for (const record of log.replay({ copy: false })) reading.take(record);
        reading.done();
      }
      while (random.chance(0.99)) {
        this.#appendSome(log);
        if (random.chance(0.2)) {
          log.flushSync();
          this.#flushed(log.lastLsn);
        }
        log.syncSync();
        this.#acknowledged(log.lastLsn);
        if (!random.chance(DEEDS)) continue;
        if (random.chance(0.5)) this.#appendSome(log);
        const deed = this.#begin(log);
        performSync(log, deed);
        this.#end(log, deed);
      }
      const { lastLsn } = log;
      log.closeSync();
      this.#acknowledged(lastLsn);
    }
  }

  /** What the backend wants of a log. */
  get #backend() {
    return backendNamed(this.#job.backend).options;
  }

  get #config() {
    return { ...configOf(this.#job.options), ...this.#backend, ...this.#mode, directory: this.#job.directory };
  }

  /** How a log is opened that was damaged. */
  get #mode() {
    const { salvage } = this.#job;
    if (salvage === undefined) return {};
    return { recoveryMode: 'salvage' as const, ...(salvage.lsn === undefined ? {} : { salvageLsn: salvage.lsn }) };
  }

  async #useWal(wal: Wal, random: Random): Promise<void> {
    // What waits already is served by the cut, and may be dropped by it.
    while (this.#cutting !== undefined) await this.#cutting;
    const cuts = this.#cuts.length;
    const kind = random.next();
    if (kind < 0.58) {
      const lsn = wal.lastLsn + 1;
      const { payload, options } = this.#content(lsn);
      this.#acknowledged(await wal.commit(payload, options), cuts);
    } else if (kind < 0.68) {
      const { batch, to } = this.#nextBatch(wal);
      this.#expectLsn(await wal.commitBatch(batch), to);
      this.#acknowledged(to, cuts);
    } else if (kind < 0.92) {
      this.#appendSome(wal);
      const { lastLsn } = wal;
      if (random.chance(0.2)) {
        await wal.flush();
        this.#flushed(lastLsn, cuts);
      }
      const isCut = this.#cutting !== undefined || this.#cuts.length > cuts;
      await (isCut || random.chance(0.5) ? wal.sync() : wal.durable(lastLsn));
      this.#acknowledged(lastLsn, cuts);
    } else if (kind < 0.95) {
      await sleep(random.integer(0, 8));
    } else if (!this.#busy) {
      this.#busy = true;
      await this.#doSomething(wal);
      this.#busy = false;
    }
  }

  #opened(log: Wal | SegmentedWal): void {
    const { salvage } = log.recovery;
    if (salvage !== undefined) this.#report({ what: 'salvaged', lost: salvage.lost });
    this.#report({ what: 'opened', firstLsn: log.firstLsn, nextLsn: log.lastLsn + 1 });
    this.#report(claimsOf(log));
  }

  /** Truncates, holds or cuts the log. */
  async #doSomething(log: Wal | SegmentedWal): Promise<void> {
    const deed = this.#begin(log);
    const done = perform(log, deed).then(() => this.#end(log, deed));
    if (deed.cutTo === undefined) return done;
    this.#cutting = done;
    await done;
    this.#cutting = undefined;
  }

  #begin(log: Standing): Deed {
    const deed = drawDeed(log, this.#random, this.#circumstances);
    for (const each of deed.begins) this.#report(each);
    return deed;
  }

  #end(log: Standing, deed: Deed): void {
    if (deed.cutTo !== undefined) this.#cuts.push(deed.cutTo);
    for (const each of endOf(deed, log, this.#generation)) this.#report(each);
  }

  get #generation(): number {
    return generationOf(this.#job.run, this.#cuts.length);
  }

  /** What the record with this LSN is, when it is appended now. */
  #content(lsn: number): Content {
    return this.#contents.of(this.#generation, lsn);
  }

  /** After a close there is nothing to recover, but where there may have been no room for the mark of it. */
  #expectClean({ recovery }: SegmentedWal): void {
    if (this.#job.mayFill || (recovery.cleanlyClosed && recovery.cutBytes === 0)) return;
    this.#report({ what: 'wrong', text: `it was closed, and found to be killed: ${JSON.stringify(recovery)}` });
  }

  /** @param cuts - how many there had been when the record was appended: what was dropped since is not promised */
  #acknowledged(lsn: number, cuts = this.#cuts.length): void {
    this.#report({ what: 'acknowledged', lsn: this.#leftOf(lsn, cuts) });
  }

  #flushed(lsn: number, cuts = this.#cuts.length): void {
    this.#report({ what: 'flushed', lsn: this.#leftOf(lsn, cuts) });
  }

  /** The end of what cuts have left since there were so many of them. */
  #leftOf(lsn: number, cuts: number): number {
    return Math.min(lsn, ...this.#cuts.slice(cuts));
  }

  #reading(): Reading {
    return new Reading(this.#contents, this.#report);
  }

  #appendSome(log: Standing): void {
    const records = this.#random.magnitude(12);
    for (let record = 0; record < records; record++) {
      if (this.#random.chance(0.05)) {
        const { batch, to } = this.#nextBatch(log);
        this.#expectLsn(log.appendBatch(batch), to);
        continue;
      }
      const lsn = log.lastLsn + 1;
      const { payload, options } = this.#content(lsn);
      this.#expectLsn(log.append(payload, options), lsn);
    }
  }

  /** A batch that is to be appended at once: nothing else may take its LSNs, which are reported already. */
  #nextBatch({ lastLsn }: Standing): { readonly batch: Batch; readonly to: number } {
    const batch = new Batch();
    const to = lastLsn + this.#random.integer(2, 5);
    for (let lsn = lastLsn + 1; lsn <= to; lsn++) {
      const { payload, options } = this.#content(lsn);
      batch.add(payload, options);
    }
    this.#report({ what: 'batch', from: lastLsn + 1, to });
    return { batch, to };
  }

  #expectLsn(given: number, expected: number): void {
    if (given === expected) return;
    this.#report({ what: 'wrong', text: `LSN ${given} was given out where it should have been ${expected}` });
  }
}
