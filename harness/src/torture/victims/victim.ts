import type { Job } from '../job.js';
import { decodeReport, type Report } from '../reports.js';

/** A process or a thread that does one run and is ended by force. */
export interface Victim {
  /** What it has reported so far. */
  readonly transcript: Transcript;
  /** Whether its reports come as it makes them, and not when it has ended. */
  readonly tellsAtOnce: boolean;
  start(job: Job): void;
  /** Ends it, at once, and resolves when nothing of it is left. What it had reported by then is in the transcript. */
  kill(): Promise<void>;
}

/** What a victim has reported, in order. */
export class Transcript {
  readonly reports: Report[] = [];
  ended = false;
  #rest = '';
  readonly #waiting = new Set<() => void>();

  /** Takes what came over the wire. A line that was cut off by the end was never said. */
  take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    if (lines.length === 0) return;
    for (const line of lines) this.reports.push(decodeReport(line));
    this.#tell();
  }

  /** Nothing more will come. */
  end(): void {
    this.ended = true;
    this.#tell();
  }

  /** Resolves when there are so many reports, something is wrong, the disk is full, or nothing more will come. */
  async reach(reports: number): Promise<void> {
    while (!this.ended && this.reports.length < reports && !isLast(this.reports.at(-1))) {
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
  }

  #tell(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resolve of waiting) resolve();
  }
}

const isLast = (report: Report | undefined): boolean => report?.what === 'full' || report?.what === 'wrong';
