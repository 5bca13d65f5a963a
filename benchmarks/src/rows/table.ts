import type { Row } from './rows.js';
import { ratioTo, yardsticksOf } from './yardstick.js';

/** The results of a case and of its further figures for the screen, a table each. */
export function tables(rows: readonly Row[]): string {
  const names = [...new Set(rows.map((row) => row.case))];
  return names.map((name) => table(rows.filter((row) => row.case === name))).join('\n\n');
}

/** The results of one case for the screen. */
function table(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const yardsticks = yardsticksOf(rows);
  const lines = [
    [`${first.bench} ${first.case}`, first.unit, ...COLUMNS, ...yardsticks.map(({ subject }) => `× ${subject}`)],
    ...rows.map((row) => [
      `  ${row.subject}`,
      ...columnsOf(row),
      ...yardsticks.map((yardstick) => ratioTo(yardstick, row) ?? ''),
    ]),
  ];
  return lines
    .map(
      ([name = '', ...columns]) =>
        name.padEnd(44) +
        columns
          .map((each) => each.padStart(14))
          .join('')
          .trimEnd(),
    )
    .join('\n');
}

const COLUMNS = ['p50 µs', 'p99 µs', 'p99.9 µs', 'slow', 'spread'];

const columnsOf = ({ value, p50Us, p99Us, p999Us, slow, spread }: Row): string[] => [
  value.toLocaleString('en-US'),
  microseconds(p50Us),
  microseconds(p99Us),
  microseconds(p999Us),
  slow === null ? '–' : percent(slow),
  percent(spread),
];

const percent = (share: number): string => `${Math.round(share * 100)} %`;

const microseconds = (value: number | null): string =>
  value === null ? '–' : Math.round(value).toLocaleString('en-US');
