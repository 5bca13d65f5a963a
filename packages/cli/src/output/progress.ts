import type { OutputStream } from './output-stream.js';
import { bytesText } from './units.js';

const BAR = 24;
const REDRAW_MS = 100;
const START_OF_LINE = '\r\x1b[2K';

/** How far a long command is: what the calls of the packages report. */
export interface Step {
  readonly phase: string;
  readonly bytes: number;
  readonly totalBytes: number;
}

/** A line on standard error that shows how far a command is; nothing where that is no terminal. */
export class Progress {
  readonly #stream: OutputStream;
  readonly #startedAt = performance.now();
  #drawnAt = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(stream: OutputStream) {
    this.#stream = stream;
  }

  /** Seconds since it was made. */
  get seconds(): number {
    return (performance.now() - this.#startedAt) / 1000;
  }

  readonly show = (step: Step): void => this.#draw(() => progressText(step, this.seconds));

  /** Shows how many of some things are done. */
  showCount(phase: string, done: number, total: number): void {
    this.#draw(() => `${phase} ${barText(done / total)}  ${done} of ${total}`);
  }

  /** Removes the line. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write(START_OF_LINE);
    this.#isDrawn = false;
  }

  #draw(text: () => string): void {
    const now = performance.now();
    if (this.#stream.isTTY !== true || now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#isDrawn = true;
    this.#stream.write(`${START_OF_LINE}${text()}`);
  }
}

/** Gigabytes or megabytes per second, as text. */
export function rateText(bytes: number, seconds: number): string {
  const rate = bytes / Math.max(seconds, 1e-3);
  return rate >= 1e8 ? `${(rate / 1e9).toFixed(2)} GB/s` : `${(rate / 1e6).toFixed(2)} MB/s`;
}

/** The line for a step. */
function progressText({ phase, bytes, totalBytes }: Step, seconds: number): string {
  const bar = barText(totalBytes === 0 ? 1 : Math.min(1, bytes / totalBytes));
  return `${phase} ${bar}  ${bytesText(bytes)} of ${bytesText(totalBytes)}  ${rateText(bytes, seconds)}`;
}

/** A bar for a part of 1, and its percentage. */
function barText(part: number): string {
  const filled = Math.round(part * BAR);
  return `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)} ${`${Math.floor(part * 100)} %`.padStart(5)}`;
}
