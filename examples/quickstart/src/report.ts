/** The figures of a whole quickstart. */
export interface Figures {
  readonly lines: number;
  readonly kills: number;
  readonly acknowledged: number;
  readonly recovered: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly commitsPerSecond: number;
  readonly backend: string;
}

const shown = (value: number): string => Math.round(value).toLocaleString('en-US');

/** The closing table. */
export function table(figures: Figures): string {
  const rows: readonly (readonly [string, string])[] = [
    ['lines', shown(figures.lines)],
    ['kills', shown(figures.kills)],
    ['acknowledged', shown(figures.acknowledged)],
    ['recovered', shown(figures.recovered)],
    ['lost', shown(figures.lost)],
    ['duplicated', shown(figures.duplicated)],
    ['commits/s', shown(figures.commitsPerSecond)],
    ['backend', figures.backend],
  ];
  const left = Math.max(...rows.map(([name]) => name.length));
  const right = Math.max(...rows.map(([, value]) => value.length));
  return rows.map(([name, value]) => `  ${name.padEnd(left)}  ${value.padStart(right)}`).join('\n');
}

/** Shows the progress of committing: on a terminal in place, elsewhere only at the end of a run. */
export class Progress {
  readonly #lines: number;
  #shownAt = 0;

  constructor(lines: number) {
    this.#lines = lines;
  }

  update(acknowledged: number): void {
    const now = performance.now();
    if (!process.stdout.isTTY || now - this.#shownAt < 50) return;
    this.#shownAt = now;
    process.stdout.write(`\r  ${shown(acknowledged)} of ${shown(this.#lines)} lines acknowledged`);
  }

  say(message: string): void {
    console.log(`${process.stdout.isTTY ? '\r\x1b[K' : ''}${message}`);
  }
}

/** `1,234 of 5,678`. */
export const outOf = (part: number, whole: number): string => `${shown(part)} of ${shown(whole)}`;
