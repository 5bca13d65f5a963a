import { decodeReport } from '../torture/reports.js';
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

  countRecord({ events }: DiskRecord): void {
    this.#guests++;
    for (const event of events) {
      if (event.what === 'flush') this.#flushes++;
      if (isAcknowledgement(event)) this.#acknowledgements++;
      if (event.what === 'report') this.#deeds.count(decodeReport(event.line));
      if (event.what !== 'write') continue;
      this.#writes++;
      if (event.fua) this.#fua++;
    }
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
