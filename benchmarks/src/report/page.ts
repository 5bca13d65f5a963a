import type { About } from '../machine/about.js';
import type { Row } from '../rows/rows.js';
import { ratioTo, yardsticksOf } from '../rows/yardstick.js';
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
  'Each cell: the median of the rounds; how often the values of the yardsticks that is; p50, p99 and p99.9 of single ' +
  'commits in microseconds; the share of all waiting time in commits slower than 3 × p50; best round minus worst round as a share of the median. Only figures of one case compare: they were taken ' +
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
  const ratios = yardsticksOf(rows).map((yardstick) =>
    row === yardstick ? undefined : ratioOf(yardstick, ratioTo(yardstick, row)),
  );
  return [shortNumber(row.value), ...ratios, latencyOf(row), slowOf(row), `spread ${Math.round(row.spread * 100)} %`]
    .filter((line) => line !== undefined)
    .join('<br>');
}

const ratioOf = ({ subject }: Row, ratio: string | undefined): string | undefined =>
  ratio === undefined ? undefined : `${ratio} × ${subject}`;

/** Runs of earlier versions have no p99.9. */
const latencyOf = ({ p50Us, p99Us, p999Us }: Omit<Row, 'p999Us'> & Partial<Row>): string | undefined => {
  if (p50Us === null || p99Us === null) return undefined;
  const values = [p50Us, p99Us, p999Us ?? undefined].filter((value) => value !== undefined);
  return `${values.map(Math.round).join(' / ')} µs`;
};

/** Nor a share of slow ones. */
const slowOf = ({ slow }: Partial<Row>): string | undefined =>
  slow === null || slow === undefined ? undefined : `slow ${Math.round(slow * 100)} %`;
