import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileName } from '@walstack/codec';
import { Random } from '../random.js';
import type { Plant } from './damage/plant.js';
import type { ForgetfulDisk } from './disks/forgetful-disk.js';
import type { SmallDisk } from './disks/small-disk.js';
import type { Accounts, Breach } from './expected/ledger.js';
import { hasCores, type Job, type LogOptions } from './job.js';
import type { Report } from './reports.js';
import type { Tally } from './tally.js';
import type { Variant } from './variant.js';
import type { Crew } from './victims/crew.js';
import { HANGS_AFTER_MS, moment } from './victims/moment.js';
import type { Victim } from './victims/victim.js';

/** Within this most runs have something acknowledged. */
const GOES_ON_MS = 250;

/** The disk of a log, when it is one of its own. */
export interface Disks {
  /** One that runs full. */
  readonly full?: SmallDisk;
  /** One that loses what was not synced. */
  readonly forgetful?: ForgetfulDisk;
}

/**
 * One log in one directory, through many runs that are each ended by force. Whatever its victims report, and whatever is
 * found when it is opened, is held against its ledger; the first breach ends it.
 */
export abstract class TorturedLog {
  readonly directory: string;
  readonly variant: Variant;
  abstract readonly ledger: Accounts;
  protected readonly options: LogOptions;
  protected readonly seed: number;
  protected readonly random: Random;
  readonly #crew: Crew;
  readonly #tally: Tally;
  /** The file system that the directory is on, when it is one that is to run full. */
  protected readonly disk: SmallDisk | undefined;
  readonly #forgetful: ForgetfulDisk | undefined;
  #run = 0;
  #breach: Breach | undefined;
  /** Whether nothing was acknowledged in the last run. */
  #isIdle = true;

  constructor(variant: Variant, directory: string, seed: number, crew: Crew, tally: Tally, disks: Disks = {}) {
    this.variant = variant;
    this.directory = directory;
    this.seed = seed;
    this.random = new Random(seed);
    this.options = optionsOf(variant, this.random);
    this.#crew = crew;
    this.#tally = tally;
    this.disk = disks.full;
    this.#forgetful = disks.forgetful;
  }

  /** The first promise that was found broken. */
  get breach(): Breach | undefined {
    return this.#breach;
  }

  /** Opens the log here, holds everything in it against the ledger, goes on with it by chance, and closes it. */
  abstract inspect(): Promise<void>;

  /** Damages a record that has to be there. @returns what was done; `undefined` when there is none that can be */
  abstract plant(how: Plant): string | undefined;

  /** Directories that processes lock. */
  protected abstract get locked(): readonly string[];

  /** Has a second one try to open the log that a victim has open all the time. */
  protected tryToShare(_victim: Victim): void {}

  /** Looks at what a run has reported as a whole. */
  protected judge(_reports: readonly Report[]): void {}

  /** Begins a run and ends it. */
  async endOneRun(): Promise<void> {
    if (this.random.chance(0.5)) this.#makeRoom();
    const victim = this.begin();
    const came = await moment(this.random, victim);
    if (!came) this.note({ text: 'it hangs: nothing was reported for a minute', lost: 0 });
    if (this.random.chance(0.1)) this.tryToShare(victim);
    await this.end(victim);
    if (this.#breach === undefined && this.random.chance(0.3)) await this.inspect();
  }

  /**
   * Begins runs until something is acknowledged in one, unless it was in the last one, as long as that takes: runs that
   * never get to work break no promise.
   *
   * @param hangsAfterMs - a run that has had more time hangs
   */
  async goOn(hangsAfterMs = HANGS_AFTER_MS): Promise<void> {
    for (let ms = GOES_ON_MS; this.#isIdle && this.#breach === undefined; ms *= 2) {
      const victim = this.begin();
      await sleep(ms);
      await this.end(victim);
      if (this.variant.victims === 'processes') this.#tally.goneOn++;
      if (this.#isIdle && ms > hangsAfterMs)
        this.note({ text: `in a run of ${ms} ms nothing was acknowledged`, lost: 0 });
    }
  }

  /** Damages the log by chance, and has it salvaged. */
  async salvage(): Promise<void> {}

  /** Begins a run. @param salvage - of a log that was damaged */
  protected begin(salvage?: Job['salvage']): Victim {
    this.beginHere();
    const victim = this.#crew.next(this.variant);
    const job = this.#job();
    victim.start(salvage === undefined ? job : { ...job, salvage, check: true });
    return victim;
  }

  /** Ends a run. @returns what it has reported */
  protected async end(victim: Victim): Promise<readonly Report[]> {
    const cutsPower = this.#forgetful !== undefined && this.random.chance(0.8);
    const reports = cutsPower ? await this.#endWithPower(victim) : await this.#endAlone(victim);
    if (!reports.some(({ what }) => what === 'opened')) this.#tally.opening++;
    if (reports.at(-1)?.what === 'full') this.#tally.full++;
    this.judge(reports);
    this.#tally.countDeeds(reports);
    const before = this.ledger.acknowledged;
    this.note(this.ledger.takeAll(this.#run, reports));
    if (cutsPower) this.ledger.losePower();
    this.#isIdle = this.ledger.acknowledged === before;
    this.#tally.acknowledged += this.ledger.acknowledged - before;
    return reports;
  }

  /**
   * Counts a log that was salvaged.
   *
   * @param kills - before it was open
   * @param midst - how many of these left a salvage that had begun
   */
  protected countSalvage(kills: number, midst: number): void {
    this.#tally.salvages++;
    this.#tally.salvageKills += kills;
    this.#tally.salvagesInterrupted += midst;
  }

  /** @returns what it has reported */
  async #endAlone(victim: Victim): Promise<readonly Report[]> {
    await victim.kill();
    if (this.variant.victims === 'processes') this.#tally.kills++;
    else this.#tally.terminations++;
    return victim.transcript.reports;
  }

  /** Takes the power away, from the process or from its disk first, and turns it on again. @returns what it has reported */
  async #endWithPower(victim: Victim): Promise<readonly Report[]> {
    const disk = this.#forgetful as ForgetfulDisk;
    const { reports } = victim.transcript;
    const diskFirst = this.random.chance(0.5);
    if (diskFirst) disk.cut();
    const before = reports.length;
    await victim.kill();
    if (!diskFirst) disk.cut();
    await disk.restore(this.random);
    this.#tally.powerCuts++;
    if (!diskFirst) return reports;
    // Nothing works on a disk without power: what it complains of is that, and what it reads is nothing. What it promises counts.
    return reports.filter(({ what }, index) => index < before || (what !== 'wrong' && what !== 'differs'));
  }

  /** Begins a run in this process. @returns which it is */
  protected beginHere(): number {
    this.#clearTakeovers();
    return ++this.#run;
  }

  protected readonly take = (report: Report): void => {
    this.#tally.deeds.count(report);
    this.note(this.ledger.take(this.#run, report));
  };

  protected note(breach: Breach | undefined): void {
    if (breach === undefined || this.#breach !== undefined) return;
    this.#breach = breach;
    this.#tally.breaches++;
    this.#tally.lost += breach.lost;
  }

  #job(): Job {
    const { backend, api } = this.variant;
    return {
      directory: this.directory,
      backend: backend.name,
      api,
      options: this.options,
      seed: this.seed,
      run: this.#run,
      check: this.random.chance(0.5),
      mayFill: this.disk !== undefined,
    };
  }

  /** Leaves some room on a full disk, or none. */
  #makeRoom(): void {
    if (this.disk === undefined) return;
    this.disk.fill();
    if (this.random.chance(0.8)) this.disk.leave(this.random.magnitude(2 * 1024 * 1024));
  }

  /** No process runs that could be taking a lock, so what is left of one that did is removed by hand. */
  #clearTakeovers(): void {
    for (const directory of this.locked) {
      const second = join(directory, `${FileName.lock}.takeover`);
      if (!existsSync(second)) continue;
      rmSync(second);
      this.#tally.takeovers++;
    }
  }
}

/** Small segments, so that the log rolls all the time. */
export function optionsOf({ padGroups, api }: Pick<Variant, 'padGroups' | 'api'>, random: Random): LogOptions {
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
    ...(random.chance(0.3) && !hasCores(api) ? { retainBytes: segmentBytes * random.pick([0, 2, 6]) } : {}),
  };
}
