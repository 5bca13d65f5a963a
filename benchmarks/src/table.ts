import type { Row } from './rows.js';

/** What the others are measured by. */
const YARDSTICK = 'fs';

const HEADINGS = ['value', 'p50 µs', 'p99 µs', 'spread', `× ${YARDSTICK}`] as const;

/** The results of one case for the screen. */
export function table(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const yardstick = rows.find(({ subject }) => subject === YARDSTICK);
  const lines = [
    [`${first.bench} ${first.case}`, first.unit, ...HEADINGS.slice(1)],
    ...rows.map((row) => [`  ${row.subject}`, ...columnsOf(row, yardstick)]),
  ];
  return lines
    .map(([name = '', ...columns]) => name.padEnd(28) + columns.map((each) => each.padStart(12)).join(''))
    .join('\n');
}

function columnsOf({ value, p50Us, p99Us, spread }: Row, yardstick: Row | undefined): string[] {
  const ratio = yardstick === undefined ? '' : (value / yardstick.value).toFixed(2);
  return [
    value.toLocaleString('en-US'),
    microseconds(p50Us),
    microseconds(p99Us),
    `${Math.round(spread * 100)} %`,
    ratio,
  ];
}

const microseconds = (value: number | null): string =>
  value === null ? '–' : Math.round(value).toLocaleString('en-US');
