import type { About } from '../about.js';
import type { Row } from '../rows.js';
import { ratioTo, yardstickOf } from '../yardstick.js';
import { benchesOf, type MeasuredCase } from './cases.js';
import { shortNumber } from './numbers.js';

/** Everything that was measured, where, and the subjects, as Markdown. */
export function resultsPage(cases: readonly MeasuredCase[], runs: readonly About[]): string {
  const sections = [...benchesOf(cases)].flatMap(([bench, members]) => [
    `## ${bench}`,
    `![${bench}](${bench}.svg)`,
    benchTable(members),
  ]);
  return `${['# Results', ...origins(runs), NOTE, ...sections, '## Subjects', subjectsOf(runs).join('\n')].join('\n\n')}\n`;
}

const NOTE =
  'Each cell: the median of the rounds; how often the value of the yardstick that is; p50 and p99 of single commits in ' +
  'microseconds; best round minus worst round as a share of the median. Only figures of one case compare: they were taken ' +
  'in one run, in turns.';

/** When and where, a line for every run that differs. */
export function origins(runs: readonly About[]): string[] {
  const lines = runs.map(
    ({ date, machine, quick }) =>
      `Measured on ${date}: ${machine}.${quick ? ' With `--quick`: for a look, not for figures to hand on.' : ''}`,
  );
  return [...new Set(lines)];
}

function subjectsOf(runs: readonly About[]): string[] {
  const subjects = new Map(runs.flatMap(({ subjects }) => Object.entries(subjects)));
  return [...subjects].map(([name, how]) => `- **${name}**: ${how}`);
}

/** A line for every case, a column for every subject. */
export function benchTable(cases: readonly MeasuredCase[]): string {
  const subjects = [...new Set(cases.flatMap(({ rows }) => rows.map(({ subject }) => subject)))];
  const lines = cases.map((one) => [`**${one.name}**<br>${one.unit}`, ...subjects.map((name) => cellOf(one, name))]);
  const head = ['', ...subjects];
  return [head, head.map((_, index) => (index === 0 ? '---' : '--:')), ...lines]
    .map((columns) => `| ${columns.join(' | ')} |`)
    .join('\n');
}

function cellOf({ rows }: MeasuredCase, subject: string): string {
  const row = rows.find((each) => each.subject === subject);
  if (row === undefined) return '–';
  const yardstick = yardstickOf(rows);
  const ratio = row === yardstick ? undefined : ratioTo(yardstick, row);
  return [
    shortNumber(row.value),
    ratio === undefined ? undefined : `${ratio} × ${yardstick?.subject}`,
    latencyOf(row),
    `spread ${Math.round(row.spread * 100)} %`,
  ]
    .filter((line) => line !== undefined)
    .join('<br>');
}

const latencyOf = ({ p50Us, p99Us }: Row): string | undefined =>
  p50Us === null || p99Us === null ? undefined : `${Math.round(p50Us)} / ${Math.round(p99Us)} µs`;
