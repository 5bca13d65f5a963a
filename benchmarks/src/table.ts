import type { Row } from './rows.js';

/** What the others are measured by: one of these takes part in each case. */
const YARDSTICKS = ['fs', 'native-loop', 'native-scan'];

const HEADINGS = ['p50 µs', 'p99 µs', 'spread'] as const;

/** The results of one case for the screen. */
export function table(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const yardstick = rows.find(({ subject }) => YARDSTICKS.includes(subject));
  const lines = [
    [`${first.bench} ${first.case}`, first.unit, ...HEADINGS, yardstick === undefined ? '' : `× ${yardstick.subject}`],
    ...rows.map((row) => [`  ${row.subject}`, ...columnsOf(row, yardstick)]),
  ];
  return lines
    .map(([name = '', ...columns]) => name.padEnd(28) + columns.map((each) => each.padStart(15)).join(''))
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
