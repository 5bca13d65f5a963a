import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FileName, WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { Random } from '../random.js';
import { configOf } from './config.js';
import { Contents } from './contents.js';
import type { Crew } from './crew.js';
import type { Job, LogOptions } from './job.js';
import { type Breach, Ledger } from './ledger.js';
import { failureOf } from './life.js';
import { moment, reports } from './moment.js';
import { Reading } from './reading.js';
import type { Report } from './reports.js';
import type { SmallDisk } from './small-disk.js';
import type { Tally } from './tally.js';
import type { Variant } from './variant.js';
import type { Victim } from './victim.js';

/** Reports within which a log that has room must have acknowledged something. */
const REPORTS_OF_A_LIFE = 40;

/**
 * One log in one directory, through many lives that are each ended by force. Whatever its victims report, and whatever is
 * found when it is opened, is held against its ledger; the first breach ends it.
 */
export class TorturedLog {
  readonly directory: string;
  readonly variant: Variant;
  readonly ledger = new Ledger();
  readonly #options: LogOptions;
  readonly #seed: number;
  readonly #random: Random;
  readonly #contents: Contents;
  readonly #crew: Crew;
  readonly #tally: Tally;
  readonly #disk: SmallDisk | undefined;
  #life = 0;
  #breach: Breach | undefined;

  /** @param disk - the file system that the directory is on, when it is one that is to run full */
  constructor(variant: Variant, directory: string, seed: number, crew: Crew, tally: Tally, disk?: SmallDisk) {
    this.variant = variant;
    this.directory = directory;
    this.#seed = seed;
    this.#random = new Random(seed);
    this.#options = optionsOf(variant, this.#random);
    this.#contents = new Contents(seed, this.#options);
    this.#crew = crew;
    this.#tally = tally;
    this.#disk = disk;
  }

  /** The first promise that was found broken. */
  get breach(): Breach | undefined {
    return this.#breach;
  }

  /** Has one life lived and ended. */
  async endOneLife(): Promise<void> {
    if (this.#random.chance(0.5)) this.#makeRoom();
    const victim = this.#begin();
    const came = await moment(this.#random, victim);
    if (!came) this.#note({ text: 'it hangs: nothing was reported for a minute', lost: 0 });
    if (this.#random.chance(0.1)) this.#tryToShare(victim);
    await this.#end(victim);
    if (this.#breach === undefined && this.#random.chance(0.3)) this.inspect();
  }

  /** Opens the log here, holds everything in it against the ledger, truncates it by chance, and closes it. */
  inspect(): void {
    this.#withLog((log) => {
      if (this.#random.chance(0.5)) this.#truncate(log, this.#random.integer(log.firstLsn, log.nextLsn));
    });
  }

  /**
   * On a disk without a free byte: opening works and finds everything, appending gets `WAL_NO_SPACE` and takes nothing
   * with it; and when there is room, truncation makes more of it, and the log goes on.
   */
  async endOnFullDisk(disk: SmallDisk): Promise<void> {
    if (this.ledger.required === 0) await this.#goOn(disk);
    for (let round = 0; round < 2; round++) {
      disk.fill();
      // What the first opening frees, the second one does not find.
      this.#withLog((log) => {
        disk.fill();
        this.#appendUntilFull(log);
      });
    }
    disk.leave(64 * 1024);
    this.#withLog((log) => this.#truncate(log, log.nextLsn));
    await this.#goOn(disk);
    this.inspect();
  }

  /** A life with room on the disk, in which something must be acknowledged. */
  async #goOn(disk: SmallDisk): Promise<void> {
    if (this.#breach !== undefined) return;
    disk.leave(4 * 1024 * 1024);
    const { acknowledged } = this.ledger;
    const victim = this.#begin();
    const hangs = await reports(victim.transcript, REPORTS_OF_A_LIFE);
    await this.#end(victim);
    if (hangs || this.ledger.acknowledged === acknowledged) {
      this.#note({ text: 'there is room on the disk, and nothing was acknowledged', lost: 0 });
    }
  }

  #begin(): Victim {
    this.#clearTakeover();
    this.#life++;
    const victim = this.#crew.next(this.variant);
    victim.start(this.#job());
    return victim;
  }

  async #end(victim: Victim): Promise<void> {
    await victim.kill();
    if (this.variant.victims === 'processes') this.#tally.kills++;
    else this.#tally.terminations++;
    const { reports } = victim.transcript;
    if (!reports.some(({ what }) => what === 'opened')) this.#tally.opening++;
    if (reports.at(-1)?.what === 'full') this.#tally.full++;
    if (reports[0]?.what === 'full' && this.ledger.required > 0) {
      this.#note({ text: 'the log does not open on a full disk', lost: this.ledger.owed });
    }
    const before = this.ledger.acknowledged;
    this.#note(this.ledger.takeAll(this.#life, reports));
    this.#tally.acknowledged += this.ledger.acknowledged - before;
  }

  #job(): Job {
    const { backend, api } = this.variant;
    return {
      directory: this.directory,
      backend: backend.name,
      api,
      options: this.#options,
      seed: this.#seed,
      life: this.#life,
      check: this.#random.chance(0.5),
      mayFill: this.#disk !== undefined,
    };
  }

  /** Leaves some room on a full disk, or none. */
  #makeRoom(): void {
    if (this.#disk === undefined) return;
    this.#disk.fill();
    if (this.#random.chance(0.8)) this.#disk.leave(this.#random.magnitude(2 * 1024 * 1024));
  }

  /** A second writer must be refused, at once. */
  #tryToShare(victim: Victim): void {
    const { reports, ended } = victim.transcript;
    // Only a life on `Wal` keeps its log open all the time.
    if (this.variant.api !== 'wal' || ended || reports.length === 0) return;
    try {
      SegmentedWal.openSync({ directory: this.directory, io: 'sync-fs' }).closeSync();
      this.#note({ text: 'two writers were let in', lost: 0 });
    } catch (error) {
      this.#acceptOnly(error, 'WAL_LOCKED', true);
    }
  }

  #withLog(use: (log: SegmentedWal) => void): void {
    if (this.#breach !== undefined) return;
    this.#clearTakeover();
    this.#life++;
    let log: SegmentedWal;
    try {
      log = SegmentedWal.openSync({ directory: this.directory, io: 'sync-fs', ...configOf(this.#options) });
    } catch (error) {
      this.#take(failureOf(error));
      return;
    }
    try {
      this.#take({ what: 'opened', firstLsn: log.firstLsn, nextLsn: log.nextLsn });
      const reading = new Reading(this.#contents, (report) => this.#take(report));
      for (const record of log.replay({ copy: false })) reading.take(record);
      reading.done();
      use(log);
      log.closeSync();
    } catch (error) {
      this.#acceptOnly(error, 'WAL_NO_SPACE', this.#disk !== undefined);
      log.closeSync();
    }
  }

  #truncate(log: SegmentedWal, lsn: number): void {
    this.#take({ what: 'truncating', lsn });
    log.truncateBeforeSync(lsn);
    this.#take({ what: 'truncated', firstLsn: log.firstLsn });
  }

  #appendUntilFull(log: SegmentedWal): void {
    try {
      for (let record = 0; record < 10_000; record++) {
        const { payload, options } = this.#contents.of(this.#life, log.nextLsn);
        log.append(payload, options);
        log.syncSync();
        this.#take({ what: 'acknowledged', lsn: log.lastLsn });
      }
      this.#note({ text: 'the disk is full, and every append was acknowledged', lost: 0 });
    } catch (error) {
      this.#acceptOnly(error, 'WAL_NO_SPACE', true);
    }
  }

  #acceptOnly(error: unknown, code: 'WAL_NO_SPACE' | 'WAL_LOCKED', acceptable: boolean): void {
    if (!acceptable || !WalError.is(error, code)) this.#take(failureOf(error));
  }

  /** Nobody is alive who could be taking the lock, so what is left of one who was is removed by hand. */
  #clearTakeover(): void {
    const second = join(this.directory, `${FileName.lock}.takeover`);
    if (!existsSync(second)) return;
    rmSync(second);
    this.#tally.takeovers++;
  }

  #take(report: Report): void {
    this.#note(this.ledger.take(this.#life, report));
  }

  #note(breach: Breach | undefined): void {
    if (breach === undefined || this.#breach !== undefined) return;
    this.#breach = breach;
    this.#tally.breaches++;
    this.#tally.lost += breach.lost;
  }
}

/** Small segments, so that the log rolls all the time. */
function optionsOf({ padGroups }: Variant, random: Random): LogOptions {
  const blockBytes = random.pick([512, 4096]);
  const segmentBytes = blockBytes * random.pick([2, 4, 8, 16]);
  return {
    blockBytes,
    segmentBytes,
    padGroups,
    markAfterMs: random.pick([0, 1, 5, 50]),
    maxInFlight: random.pick([1, 4, 16]),
    directIo: random.chance(0.5),
    preallocate: random.pick(['write', 'allocate', 'none']),
    recycleSegments: random.pick([0, 1, 3]),
    encrypted: random.chance(0.3),
    compressed: random.chance(0.2),
  };
}
