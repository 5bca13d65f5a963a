import type { Row } from './rows.js';
import { ratioTo, yardstickOf } from './yardstick.js';

/** The results of one case for the screen. */
export function table(rows: readonly Row[]): string {
  const [first] = rows;
  if (first === undefined) return '';
  const yardstick = yardstickOf(rows);
  const ratio = yardstick === undefined ? '' : `× ${yardstick.subject}`;
  const lines = [
    [`${first.bench} ${first.case}`, first.unit, 'p50 µs', 'p99 µs', 'spread', ratio],
    ...rows.map((row) => [`  ${row.subject}`, ...columnsOf(row), ratioTo(yardstick, row) ?? '']),
  ];
  return lines
    .map(
      ([name = '', ...columns]) =>
        name.padEnd(34) +
        columns
          .map((each) => each.padStart(14))
          .join('')
          .trimEnd(),
    )
    .join('\n');
}

const columnsOf = ({ value, p50Us, p99Us, spread }: Row): string[] => [
  value.toLocaleString('en-US'),
  microseconds(p50Us),
  microseconds(p99Us),
  `${Math.round(spread * 100)} %`,
];

const microseconds = (value: number | null): string =>
  value === null ? '–' : Math.round(value).toLocaleString('en-US');
