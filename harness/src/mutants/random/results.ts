import { appendFileSync, existsSync, readFileSync, truncateSync } from 'node:fs';
import type { RandomDefect } from './draw.js';

/** What became of a change. */
type Verdict = 'caught' | 'unreached' | 'survived';

/** A change that was judged: a line of the file. */
export interface Result {
  readonly file: string;
  readonly line: number;
  readonly change: string;
  readonly verdict: Verdict;
  /** How it was noticed, or what did not notice it. */
  readonly by?: string;
  readonly seconds: number;
  /** All that comes to it was tried. */
  readonly thorough?: boolean;
  /** The sources that it was judged with: others may come to something else. */
  readonly sources?: string;
}

/** What was judged, in a file to which each result is added, or in memory. */
export class Results {
  readonly #path: string | undefined;
  readonly #sources: string;
  readonly #all: Result[];

  /**
   * Goes on with a file, where there is one.
   *
   * @param sources - stands for the sources of today, and for what is tried of them
   */
  constructor(path: string | undefined, sources: string) {
    this.#path = path;
    this.#sources = sources;
    const text = path !== undefined && existsSync(path) ? readFileSync(path, 'utf8') : '';
    // The last line may have been written in part: the next one does not go behind it.
    const whole = text.slice(0, text.lastIndexOf('\n') + 1);
    if (path !== undefined && whole.length < text.length) truncateSync(path, Buffer.byteLength(whole));
    const lines = whole.split('\n').slice(0, -1);
    this.#all = lines.map((line) => JSON.parse(line) as Result);
  }

  add(result: Result): void {
    const whole = { ...result, sources: this.#sources };
    this.#all.push(whole);
    if (this.#path !== undefined) appendFileSync(this.#path, `${JSON.stringify(whole)}\n`);
  }

  /** How many of the results are of other sources, and say nothing of these. */
  get outdated(): number {
    return this.#all.filter(({ sources }) => sources !== this.#sources).length;
  }

  /** What a change came to, when it was judged last in these sources; `undefined` when it was not. */
  of({ file, change }: RandomDefect): Result | undefined {
    return this.#all.findLast(
      (result) => result.sources === this.#sources && result.file === file && result.change === change,
    );
  }
}
