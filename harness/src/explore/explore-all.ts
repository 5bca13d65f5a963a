import { MODE_NAMES, type ModeName } from '../modes.js';
import type { Scenario } from '../scenario.js';
import { type Effort, exploreScenario, type Outcome } from './explore-scenario.js';

/** What was tried of one scenario in all of its modes. */
export interface Row {
  readonly scenario: string;
  readonly points: number;
  readonly states: number;
  readonly faults: number;
  readonly failures: number;
}

/** A failure, and the command that comes to it again. */
export interface Found {
  readonly message: string;
  readonly command: string;
}

/** Explores one scenario in its modes, or in one of them. */
export async function exploreInModes(
  name: string,
  scenario: Scenario,
  effort: Effort,
  only?: ModeName,
): Promise<{ readonly row: Row; readonly found: readonly Found[] }> {
  const outcomes: Outcome[] = [];
  const found: Found[] = [];
  for (const mode of scenario.modes ?? MODE_NAMES) {
    if (only !== undefined && mode !== only) continue;
    const outcome = await exploreScenario(scenario, mode, effort);
    outcomes.push(outcome);
    const { failure } = outcome;
    if (failure === undefined) continue;
    const command = `pnpm explore --scenario ${name} --mode ${mode} --replay '${failure.coordinate}'`;
    found.push({ message: failure.message, command });
  }
  return { row: rowOf(name, outcomes), found };
}

function rowOf(scenario: string, outcomes: readonly Outcome[]): Row {
  const sum = (of: (outcome: Outcome) => number): number => outcomes.reduce((total, each) => total + of(each), 0);
  return {
    scenario,
    points: sum(({ points }) => points),
    states: sum(({ states }) => states),
    faults: sum(({ faults }) => faults),
    failures: sum(({ failure }) => (failure === undefined ? 0 : 1)),
  };
}

const COLUMNS = ['points', 'states', 'faults', 'failures'] as const;
const NAME_WIDTH = 38;
const WIDTH = 10;

export const heading = (): string =>
  `${'scenario'.padEnd(NAME_WIDTH)}${COLUMNS.map((column) => column.padStart(WIDTH)).join('')}`;

export const lineOf = (row: Row): string =>
  `${row.scenario.padEnd(NAME_WIDTH)}${COLUMNS.map((column) => String(row[column]).padStart(WIDTH)).join('')}`;

/** The last line of a run. */
export function totalLine(rows: readonly Row[]): string {
  const sum = (column: (typeof COLUMNS)[number]): number => rows.reduce((total, row) => total + row[column], 0);
  return (
    `${rows.length} scenarios, ${sum('points')} crash points, ${sum('states')} states, ` +
    `${sum('faults')} faults, ${sum('failures')} failures`
  );
}
