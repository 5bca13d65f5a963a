import { decodeReport, type Report } from '../torture/reports.js';
import { DeedTally } from '../torture/tally.js';
import type { ImageFinding } from './examination.js';
import type { DiskRecord } from './record/disk-record.js';
import { isAcknowledgement } from './record/events.js';

/** What has come of the images of one combination. */
export class Tally {
  readonly what: string;
  #guests = 0;
  #writes = 0;
  #fua = 0;
  #flushes = 0;
  #acknowledgements = 0;
  /** By log, what of it was acknowledged in all guests. */
  readonly #acknowledged = new Map<string, number>();
  readonly #deeds = new DeedTally();
  #images = 0;
  #logs = 0;
  #whole = 0;
  readonly #verdicts = { kept: 0, lost: 0, refused: 0, broken: 0, unmountable: 0 };

  constructor(what: string) {
    this.what = what;
  }

  get images(): number {
    return this.#images;
  }

  /** Images on which something is not as it was promised. */
  get wrong(): number {
    return this.#images - this.#verdicts.kept;
  }

  /** Images on which something is lost, or a log with it does not open. */
  get lost(): number {
    return this.#verdicts.lost + this.#verdicts.refused;
  }

  /** Logs that have acknowledged nothing: they had nothing to lose. */
  get idle(): readonly string[] {
    return [...this.#acknowledged].filter(([, count]) => count === 0).map(([name]) => name);
  }

  countRecord({ events, facts }: Pick<DiskRecord, 'events' | 'facts'>): void {
    this.#guests++;
    for (const { name } of facts.logs) this.#acknowledged.set(name, this.#acknowledged.get(name) ?? 0);
    for (const event of events) {
      if (event.what === 'flush') this.#flushes++;
      if (isAcknowledgement(event)) this.#acknowledgements++;
      if (event.what === 'report') this.#countReport(facts.logs[event.log]?.name ?? '', decodeReport(event.line));
      if (event.what !== 'write') continue;
      this.#writes++;
      if (event.fua) this.#fua++;
    }
  }

  #countReport(log: string, report: Report): void {
    this.#deeds.count(report);
    if (report.what !== 'acknowledged' || report.lsn === 0) return;
    this.#acknowledged.set(log, (this.#acknowledged.get(log) ?? 0) + 1);
  }

  /** @param logs - that are on it */
  countImage({ verdict, tornBlocks }: ImageFinding, logs: number): void {
    this.#images++;
    this.#logs += logs;
    if (!tornBlocks) this.#whole++;
    this.#verdicts[verdict]++;
  }

  toString(): string {
    const { lost, refused, broken, unmountable } = this.#verdicts;
    const record = `${this.#guests} guests, ${this.#writes} writes (${this.#fua} with FUA), ${this.#flushes} flushes, ${this.#acknowledgements} acknowledgements, ${this.#deeds}`;
    const mounts = `${this.#whole} mountable only without torn blocks, ${unmountable} not at all`;
    const others = `${broken} otherwise wrong; ${mounts}`;
    return `${this.what}: ${record}; ${this.#images} images with ${this.#logs} logs, ${lost} lost, ${refused} refused, ${others}`;
  }
}

/**
 * What a run comes to.
 *
 * @param isControl - something is wrong on purpose: it has to lose records, and not only to break the file system
 * @returns whether all is as it has to be, and in a line what it is
 */
export function judged(
  tallies: readonly Tally[],
  isControl: boolean,
): { readonly isRight: boolean; readonly text: string } {
  const sum = (of: (tally: Tally) => number): number => tallies.reduce((total, tally) => total + of(tally), 0);
  const wrong = sum((tally) => tally.wrong);
  const idle = tallies.flatMap((tally) => tally.idle.map((log) => `${tally.what}: ${log}`));
  const nothing = idle.length === 0 ? '' : `; nothing was acknowledged by ${idle.join(', ')}`;
  return {
    isRight: isControl ? sum((tally) => tally.lost) > 0 : wrong === 0 && idle.length === 0,
    text: `powercut: ${sum((tally) => tally.images)} images, ${wrong} wrong${nothing}`,
  };
}
