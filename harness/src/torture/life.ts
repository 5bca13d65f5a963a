import { setTimeout as sleep } from 'node:timers/promises';
import { WalError } from '@walstack/codec';
import { Batch, SegmentedWal } from '@walstack/segmented';
import { Wal } from '@walstack/wal';
import { Random } from '../random.js';
import { backendNamed } from './backends.js';
import { configOf } from './config.js';
import { Contents } from './contents.js';
import { liveWithCores } from './cores-life.js';
import { hasCores, type Job } from './job.js';
import { Reading } from './reading.js';
import type { Report } from './reports.js';

/** Callers of `commit` at a time. */
const COMMITTERS = 4;

/** Lives a life: opens the log, writes to it without end, and reports what it was promised. It is ended by force. */
export async function live(job: Job, report: (report: Report) => void): Promise<void> {
  try {
    if (hasCores(job.api)) return await liveWithCores(job, job.api, report);
    const life = new Life(job, report);
    if (job.api === 'wal') await life.withWal();
    else if (job.api === 'segmented') await life.withSegmentedWal();
    else life.blocking();
  } catch (error) {
    if (job.mayFill && WalError.is(error, 'WAL_NO_SPACE')) {
      // Said again and again, so that it ends when nobody listens any more.
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

/** Where the log of a life stands, for both classes of logs. */
interface Standing {
  readonly firstLsn: number;
  readonly lastLsn: number;
  append(payload: Uint8Array, options: object): number;
  appendBatch(batch: Batch): number;
}

class Life {
  readonly #job: Job;
  readonly #report: (report: Report) => void;
  readonly #contents: Contents;
  readonly #random: Random;

  constructor(job: Job, report: (report: Report) => void) {
    this.#job = job;
    this.#report = report;
    this.#contents = new Contents(job.seed, job.options);
    this.#random = new Random(job.seed, job.life);
  }

  async withWal(): Promise<never> {
    const { directory, options, check } = this.#job;
    const wal = await Wal.open(directory, { ...configOf(options), ...this.#backend });
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
        if (random.chance(0.2)) await log.flush();
        // What is appended while a sync is under way is for the next one.
        const { lastLsn } = log;
        const synced = log.sync();
        if (random.chance(0.5)) this.#appendSome(log);
        await synced;
        this.#acknowledged(lastLsn);
        if (random.chance(0.03)) await sleep(random.integer(0, 8));
        if (!random.chance(0.05)) continue;
        await log.truncateBefore(this.#beginTruncating(log));
        this.#report({ what: 'truncated', firstLsn: log.firstLsn });
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
        if (random.chance(0.2)) log.flushSync();
        log.syncSync();
        this.#acknowledged(log.lastLsn);
        if (!random.chance(0.05)) continue;
        log.truncateBeforeSync(this.#beginTruncating(log));
        this.#report({ what: 'truncated', firstLsn: log.firstLsn });
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
    return { ...configOf(this.#job.options), ...this.#backend, directory: this.#job.directory };
  }

  async #useWal(wal: Wal, random: Random): Promise<void> {
    const kind = random.next();
    if (kind < 0.6) {
      const lsn = wal.lastLsn + 1;
      const { payload, options } = this.#contents.of(this.#job.life, lsn);
      this.#acknowledged(await wal.commit(payload, options));
    } else if (kind < 0.7) {
      const { batch, to } = this.#nextBatch(wal);
      this.#expectLsn(await wal.commitBatch(batch), to);
      this.#acknowledged(to);
    } else if (kind < 0.95) {
      this.#appendSome(wal);
      const { lastLsn } = wal;
      if (random.chance(0.2)) await wal.flush();
      await (random.chance(0.5) ? wal.sync() : wal.durable(lastLsn));
      this.#acknowledged(lastLsn);
    } else {
      await sleep(random.integer(0, 8));
    }
  }

  #opened({ firstLsn, lastLsn }: Standing): void {
    this.#report({ what: 'opened', firstLsn, nextLsn: lastLsn + 1 });
  }

  /** After a close there is nothing to recover, but where there may have been no room for the mark of it. */
  #expectClean({ recovery }: SegmentedWal): void {
    if (this.#job.mayFill || (recovery.cleanlyClosed && recovery.cutBytes === 0)) return;
    this.#report({ what: 'wrong', text: `it was closed, and found to be killed: ${JSON.stringify(recovery)}` });
  }

  #acknowledged(lsn: number): void {
    this.#report({ what: 'acknowledged', lsn });
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
      const { payload, options } = this.#contents.of(this.#job.life, lsn);
      this.#expectLsn(log.append(payload, options), lsn);
    }
  }

  /** A batch that is to be appended at once: nothing else may take its LSNs, which are reported already. */
  #nextBatch({ lastLsn }: Standing): { readonly batch: Batch; readonly to: number } {
    const batch = new Batch();
    const to = lastLsn + this.#random.integer(2, 5);
    for (let lsn = lastLsn + 1; lsn <= to; lsn++) {
      const { payload, options } = this.#contents.of(this.#job.life, lsn);
      batch.add(payload, options);
    }
    this.#report({ what: 'batch', from: lastLsn + 1, to });
    return { batch, to };
  }

  #expectLsn(given: number, expected: number): void {
    if (given === expected) return;
    this.#report({ what: 'wrong', text: `LSN ${given} was given out where it should have been ${expected}` });
  }

  #beginTruncating({ firstLsn, lastLsn }: Standing): number {
    const lsn = this.#random.chance(0.2) ? lastLsn + 1 : this.#random.integer(firstLsn, lastLsn + 1);
    this.#report({ what: 'truncating', lsn });
    return lsn;
  }
}
