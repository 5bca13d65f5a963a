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
  /** Lives that ended before their log was open. */
  opening = 0;
  /** Lives that met a full disk. */
  full = 0;
  /** Locks of which a killed process had left the second file, which is removed by hand. */
  takeovers = 0;

  /** How many lives were ended. */
  get ended(): number {
    return this.kills + this.powerCuts;
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
