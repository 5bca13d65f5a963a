import { CHECKPOINT } from './expected/claims.js';
import type { Report } from './reports.js';

/** How often something was done to logs beside appending to them. */
export class DeedTally {
  readonly #counts = { truncations: 0, cuts: 0, resets: 0, holds: 0, releases: 0, checkpoints: 0 };

  count(report: Report): void {
    if (report.what === 'truncated') this.#counts.truncations++;
    else if (report.what === 'cut') this.#counts.cuts++;
    else if (report.what === 'reset') this.#counts.resets++;
    else if (report.what !== 'claimed') return;
    else if (report.name === CHECKPOINT) this.#counts.checkpoints++;
    else if (report.lsn === undefined) this.#counts.releases++;
    else this.#counts.holds++;
  }

  toString(): string {
    const words = Object.entries(this.#counts).map(([what, count]) => `${count} ${what}`);
    return words.join(', ');
  }
}

/** What has come of everything so far. */
export class Tally {
  /** Processes that were killed, and worker threads that were terminated. */
  kills = 0;
  terminations = 0;
  /** Processes that were killed together with the power of their disk; they are no kills. */
  powerCuts = 0;
  acknowledged = 0;
  lost = 0;
  breaches = 0;
  /** Of the kills and power cuts, those that ended runs in which a log had to go on at its end. */
  goneOn = 0;
  /** Runs that ended before their log was open. */
  opening = 0;
  /** Runs that met a full disk. */
  full = 0;
  /** Locks of which a killed process had left the takeover file, which is removed by hand. */
  takeovers = 0;

  /** Damaged logs that were salvaged. */
  salvages = 0;
  /** Runs that ended while they salvaged one. */
  salvageKills = 0;
  /** Those that left a salvage in its midst. */
  salvagesInterrupted = 0;
  readonly deeds = new DeedTally();

  countDeeds(reports: readonly Report[]): void {
    for (const report of reports) this.deeds.count(report);
  }

  /** How many runs were ended, but for those that salvaged logs and those in which logs had to go on at their ends. */
  get ended(): number {
    // A busy machine ends many runs before a log is salvaged: counted, they would take the turns of other variants.
    return this.kills + this.powerCuts - this.goneOn - this.salvages - this.salvageKills;
  }

  /** The last line. */
  toString(): string {
    const broken = this.breaches === 0 ? '' : `, ${this.breaches} broken promises`;
    return (
      `${this.kills} kills, ${this.powerCuts} power cuts, ${this.terminations} worker threads terminated, ` +
      `${this.acknowledged} acknowledged, ${this.lost} lost${broken}`
    );
  }
}
