import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileName, WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { configOf, retains } from './config.js';
import { type Damage, damageLog, missingInQuarantine, reportsInQuarantine } from './damage/damage.js';
import { type Plant, plantLoss } from './damage/plant.js';
import type { SmallDisk } from './disks/small-disk.js';
import { Contents } from './expected/contents.js';
import { generationOf } from './expected/generations.js';
import { Ledger, UNREADABLE } from './expected/ledger.js';
import { Reading } from './expected/reading.js';
import type { Report } from './reports.js';
import { TorturedLog } from './tortured-log.js';
import { reports } from './victims/moment.js';
import type { Victim } from './victims/victim.js';
import { claimsOf, drawDeed, endOf, performSync } from './workload/deeds.js';
import { failureOf } from './workload/run.js';

/** Reports within which a log that has room must have acknowledged something. */
const REPORTS_OF_A_LIFE = 200;

/** How often a log is damaged and salvaged, and how many runs are ended at most before it is. */
const SALVAGES = 0.1;
const SALVAGE_KILLS = 8;

/** So long, at most, a run has for it; the next one longer. */
const SALVAGE_MS = 100;

/** A log of one writer: `Wal`, or `SegmentedWal`. */
export class TorturedSegments extends TorturedLog {
  readonly ledger = new Ledger();
  readonly #contents = new Contents(this.seed, this.options);

  protected get locked(): readonly string[] {
    return [this.directory];
  }

  async inspect(): Promise<void> {
    this.#withLog((log, run) => {
      if (this.random.chance(0.5)) this.#doSomething(log, run);
    });
  }

  /**
   * Closes the log, damages it, and begins runs that open it with salvage and are ended meanwhile, until one has opened
   * it. Before that, strict refuses it; afterwards it opens it.
   */
  override async salvage(): Promise<void> {
    const { victims } = this.variant;
    if (this.disk !== undefined || victims !== 'processes' || this.ledger.required === 0) return;
    if (!this.random.chance(SALVAGES)) return;
    let lastLsn = 0;
    let firstLsn = 0;
    this.#withLog((log) => {
      ({ firstLsn, lastLsn } = log);
    });
    if (this.breach !== undefined) return;
    const damage = damageLog(this.directory, lastLsn + 1, this.random);
    if (damage === undefined) return;
    const { firstLsn: keptFrom, nextLsn } = damage;
    this.take({ what: 'damaged', firstLsn: keptFrom, nextLsn, begun: firstLsn, lastLsn });
    const isProven = nextLsn <= lastLsn || keptFrom > firstLsn;
    if (isProven && this.#isOpened()) {
      this.note({ text: `strict opens a log of which something is lost: ${damage.text}`, lost: 0 });
    }
    const ended = reportsInQuarantine(this.directory);
    let kills = 0;
    let midst = 0;
    while (this.breach === undefined && !(await this.#isSalvagedBy(damage, kills, isProven ? ended : undefined))) {
      kills++;
      if (existsSync(join(this.directory, FileName.salvage))) midst++;
      // It may have ended without its report having come.
      if (!isProven || this.random.chance(0.7) || !this.#isOpened() || reportsInQuarantine(this.directory) > ended)
        continue;
      this.note({ text: `strict opens a log whose salvage has not ended: ${damage.text}`, lost: 0 });
    }
    if (this.breach !== undefined) return;
    const [missing] = missingInQuarantine(this.directory, damage);
    if (missing !== undefined)
      this.note({ text: `${missing} is not in quarantine as it was: ${damage.text}`, lost: 0 });
    const more = reportsInQuarantine(this.directory) - ended;
    if (isProven && more !== 1) this.note({ text: `one salvage has left ${more} reports: ${damage.text}`, lost: 0 });
    this.countSalvage(kills, midst);
    await this.inspect();
  }

  /**
   * Begins a run that salvages the log.
   *
   * @param ended - how many reports there are in quarantine until it is salvaged; `undefined` where there may be no need to
   * @returns whether it was open when it was ended
   */
  async #isSalvagedBy({ salvageLsn, text }: Damage, kills: number, ended: number | undefined): Promise<boolean> {
    const isFirst = reportsInQuarantine(this.directory) === ended;
    const victim = this.begin(salvageLsn === undefined ? {} : { lsn: salvageLsn });
    const hangs = await reports(victim.transcript, kills < SALVAGE_KILLS ? 1 : 2);
    if (hangs) this.note({ text: 'it hangs: nothing was reported for a minute', lost: 0 });
    await sleep(this.random.magnitude(SALVAGE_MS * (kills + 1)));
    const told = await this.end(victim);
    const isOpen = told.some(({ what }) => what === 'opened');
    // One that goes on behind the end of a salvage has nothing to say.
    if (isOpen && isFirst && !told.some(({ what }) => what === 'salvaged')) {
      this.note({ text: `salvage says nothing of what is lost: ${text}`, lost: 0 });
    }
    return isOpen;
  }

  /** Whether strict opens the log, which is as it was then. */
  #isOpened(): boolean {
    const config = { io: 'sync-fs', ...configOf(this.options) } as const;
    try {
      SegmentedWal.openSync({ directory: this.directory, ...config }).closeSync();
      return true;
    } catch (error) {
      if (!WalError.is(error) || !UNREADABLE.has(error.code)) this.take(failureOf(error));
      return false;
    }
  }

  plant(how: Plant): string | undefined {
    return plantLoss(this.directory, how, this.ledger.required);
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
      this.#withLog((log, run) => {
        disk.fill();
        this.#appendUntilFull(log, run);
      });
    }
    disk.leave(64 * 1024);
    this.#withLog((log) => this.#empty(log));
    await this.#goOn(disk);
    await this.inspect();
  }

  /** A run with room on the disk, in which something must be acknowledged. */
  async #goOn(disk: SmallDisk): Promise<void> {
    if (this.breach !== undefined) return;
    disk.leave(4 * 1024 * 1024);
    const { acknowledged } = this.ledger;
    const victim = this.begin();
    const hangs = await reports(victim.transcript, REPORTS_OF_A_LIFE);
    await this.end(victim);
    if (hangs || this.ledger.acknowledged === acknowledged) {
      this.note({ text: 'there is room on the disk, and nothing was acknowledged', lost: 0 });
    }
  }

  /** A second writer must be refused, at once. */
  protected override tryToShare(victim: Victim): void {
    const { reports, ended } = victim.transcript;
    // Only a run on `Wal` keeps its log open all the time.
    if (this.variant.api !== 'wal' || ended || reports.length === 0) return;
    try {
      SegmentedWal.openSync({ directory: this.directory, io: 'sync-fs' }).closeSync();
      this.note({ text: 'the lock admitted two writers', lost: 0 });
    } catch (error) {
      this.#acceptOnly(error, 'WAL_LOCKED', true);
    }
  }

  protected override judge([first]: readonly Report[]): void {
    if (first?.what !== 'full' || this.ledger.required === 0) return;
    this.note({ text: 'the log does not open on a full disk', lost: this.ledger.owed });
  }

  #withLog(use: (log: SegmentedWal, run: number) => void): void {
    if (this.breach !== undefined) return;
    const run = this.beginHere();
    let log: SegmentedWal;
    try {
      log = SegmentedWal.openSync({ directory: this.directory, io: 'sync-fs', ...configOf(this.options) });
    } catch (error) {
      this.take(failureOf(error));
      return;
    }
    this.#unlessFull(() => {
      this.take({ what: 'opened', firstLsn: log.firstLsn, nextLsn: log.nextLsn });
      this.take(claimsOf(log));
      const reading = new Reading(this.#contents, this.take);
      for (const record of log.replay({ copy: false })) reading.take(record);
      reading.done();
      // What is broken stays as it was found.
      if (this.breach === undefined) use(log, run);
    });
    // Closing writes, too.
    this.#unlessFull(() => log.closeSync());
  }

  #unlessFull(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#acceptOnly(error, 'WAL_NO_SPACE', this.disk !== undefined);
    }
  }

  #doSomething(log: SegmentedWal, run: number): void {
    const deed = drawDeed(log, this.random, { retains: retains(this.options), mayFill: this.disk !== undefined });
    for (const each of deed.begins) this.take(each);
    performSync(log, deed);
    for (const each of endOf(deed, log, generationOf(run, 1))) this.take(each);
  }

  /** Gives up every hold, and drops everything. */
  #empty(log: SegmentedWal): void {
    for (const name of Object.keys(log.holds)) {
      this.take({ what: 'claiming', name, lsn: undefined });
      this.take({ what: 'truncating', lsn: log.checkpointLsn + 1 });
      log.releaseHoldSync(name);
      this.take({ what: 'claimed', name, lsn: undefined });
    }
    this.take({ what: 'truncating', lsn: log.nextLsn });
    log.truncateBeforeSync(log.nextLsn);
    this.take({ what: 'truncated', firstLsn: log.firstLsn });
  }

  #appendUntilFull(log: SegmentedWal, run: number): void {
    try {
      for (let record = 0; record < 10_000; record++) {
        const { payload, options } = this.#contents.of(run, log.nextLsn);
        log.append(payload, options);
        log.syncSync();
        this.take({ what: 'acknowledged', lsn: log.lastLsn });
      }
      this.note({ text: 'the disk is full, and every append was acknowledged', lost: 0 });
    } catch (error) {
      this.#acceptOnly(error, 'WAL_NO_SPACE', true);
    }
  }

  #acceptOnly(error: unknown, code: 'WAL_NO_SPACE' | 'WAL_LOCKED', acceptable: boolean): void {
    if (!acceptable || !WalError.is(error, code)) this.take(failureOf(error));
  }
}
