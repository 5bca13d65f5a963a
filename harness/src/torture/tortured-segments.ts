import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { configOf } from './config.js';
import { Contents } from './contents.js';
import { Ledger } from './ledger.js';
import { failureOf } from './life.js';
import { reports } from './moment.js';
import { type Plant, plantLoss } from './plant.js';
import { Reading } from './reading.js';
import type { Report } from './reports.js';
import type { SmallDisk } from './small-disk.js';
import { TorturedLog } from './tortured-log.js';
import type { Victim } from './victim.js';

/** Reports within which a log that has room must have acknowledged something. */
const REPORTS_OF_A_LIFE = 40;

/** A log of one writer: `Wal`, or `SegmentedWal`. */
export class TorturedSegments extends TorturedLog {
  readonly ledger = new Ledger();
  readonly #contents = new Contents(this.seed, this.options);

  protected get locked(): readonly string[] {
    return [this.directory];
  }

  async inspect(): Promise<void> {
    this.#withLog((log) => {
      if (this.random.chance(0.5)) this.#truncate(log, this.random.integer(log.firstLsn, log.nextLsn));
    });
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
      this.#withLog((log, life) => {
        disk.fill();
        this.#appendUntilFull(log, life);
      });
    }
    disk.leave(64 * 1024);
    this.#withLog((log) => this.#truncate(log, log.nextLsn));
    await this.#goOn(disk);
    await this.inspect();
  }

  /** A life with room on the disk, in which something must be acknowledged. */
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
    // Only a life on `Wal` keeps its log open all the time.
    if (this.variant.api !== 'wal' || ended || reports.length === 0) return;
    try {
      SegmentedWal.openSync({ directory: this.directory, io: 'sync-fs' }).closeSync();
      this.note({ text: 'two writers were let in', lost: 0 });
    } catch (error) {
      this.#acceptOnly(error, 'WAL_LOCKED', true);
    }
  }

  protected override judge([first]: readonly Report[]): void {
    if (first?.what !== 'full' || this.ledger.required === 0) return;
    this.note({ text: 'the log does not open on a full disk', lost: this.ledger.owed });
  }

  #withLog(use: (log: SegmentedWal, life: number) => void): void {
    if (this.breach !== undefined) return;
    const life = this.beginHere();
    let log: SegmentedWal;
    try {
      log = SegmentedWal.openSync({ directory: this.directory, io: 'sync-fs', ...configOf(this.options) });
    } catch (error) {
      this.take(failureOf(error));
      return;
    }
    this.#unlessFull(() => {
      this.take({ what: 'opened', firstLsn: log.firstLsn, nextLsn: log.nextLsn });
      const reading = new Reading(this.#contents, this.take);
      for (const record of log.replay({ copy: false })) reading.take(record);
      reading.done();
      // What is broken stays as it was found.
      if (this.breach === undefined) use(log, life);
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

  #truncate(log: SegmentedWal, lsn: number): void {
    this.take({ what: 'truncating', lsn });
    log.truncateBeforeSync(lsn);
    this.take({ what: 'truncated', firstLsn: log.firstLsn });
  }

  #appendUntilFull(log: SegmentedWal, life: number): void {
    try {
      for (let record = 0; record < 10_000; record++) {
        const { payload, options } = this.#contents.of(life, log.nextLsn);
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
