import { readdirSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parseArguments } from '../src/explore/arguments.js';
import { exploreInModes, heading, lineOf, totalLine } from '../src/explore/explore-all.js';
import { replayScenario } from '../src/explore/explore-scenario.js';
import { MODE_NAMES, type ModeName } from '../src/modes.js';
import type { Scenario } from '../src/scenario.js';
import { SCENARIOS } from '../src/scenarios/index.js';
import { RUN_SEED } from './run-seed.js';

const names = Object.keys(SCENARIOS);

/** With as much as the others get, these take minutes here, also where nothing else runs. `pnpm explore` tries it all. */
const LONG: ReadonlySet<string> = new Set(['followers']);

/** One of the modes of a scenario: another one for each, so that all have their turn. */
function modeOf(scenario: Scenario, turn: number): ModeName {
  const modes = scenario.modes ?? MODE_NAMES;
  return modes[turn % modes.length] as ModeName;
}

test('every file in the folders of scenarios is explored', () => {
  const folders = readdirSync(new URL('../src/scenarios', import.meta.url)).filter((name) => name !== 'index.ts');
  const files = folders.flatMap((folder) => readdirSync(new URL(`../src/scenarios/${folder}`, import.meta.url)));
  expect(names.map((name) => `${name}.ts`)).toEqual(files.sort());
});

describe('the power may go at any moment, and nothing acknowledged is lost', () => {
  test.each([...names.entries()])('%i %s', async (index, name) => {
    const scenario = SCENARIOS[name] as Scenario;
    for (const [turn, seed] of [1, RUN_SEED].entries()) {
      const effort = { seeds: [seed], survivorsPerPoint: LONG.has(name) ? 2 : 4, faults: false };
      const { row, found } = await exploreInModes(name, scenario, effort, modeOf(scenario, index + turn));
      expect(found).toEqual([]);
      expect(row.states).toBeGreaterThan(5);
    }
  });
});

describe('any one operation may fail, and nothing acknowledged is lost', () => {
  test.each([
    ['closes', 'blocking'],
    ['flushes', 'ring'],
    ['truncate-part', 'padded'],
    ['wal-appends-and-commits', 'pool'],
  ] as const)('%s, %s', async (name, mode) => {
    const effort = { seeds: [1], survivorsPerPoint: 1, faults: true };
    const { row, found } = await exploreInModes(name, SCENARIOS[name] as Scenario, effort, mode);
    expect(found).toEqual([]);
    expect(row.faults).toBeGreaterThan(50);
  });
});

describe('a scenario that fails', () => {
  /** It says that a record is durable which was only flushed. */
  const lying: Scenario = {
    about: 'a lie',
    modes: ['blocking'],
    async run(log, run) {
      await log.open();
      log.append(100);
      await log.flush();
      run.note({ kind: 'durable', lsn: 1 });
    },
  };

  test('is counted, and the command leads to the same state', async () => {
    const effort = { seeds: [1, 2], survivorsPerPoint: 4, faults: true };
    const { row, found } = await exploreInModes('lying', lying, effort);
    expect(row.failures).toBe(1);
    const [failure] = found;
    expect(failure?.message).toContain('lost: 1 was acknowledged');
    const [, coordinate] = /--scenario lying --mode blocking --replay '(.*)'$/.exec(failure?.command ?? '') ?? [];
    await expect(replayScenario(lying, 'blocking', coordinate ?? '')).rejects.toThrow('lost: 1 was acknowledged');
  });
});

describe('pnpm explore', () => {
  test('prints a line for each scenario and one for all', () => {
    const row = { scenario: 'groups', points: 12, states: 34, faults: 5, failures: 0 };
    expect(heading().length).toBe(lineOf(row).length);
    expect(lineOf(row).split(/\s+/)).toEqual(['groups', '12', '34', '5', '0']);
    const total = '2 scenarios, 24 crash points, 68 states, 10 faults, 0 failures';
    expect(totalLine([row, row])).toBe(total);
  });

  test('takes seeds, a scenario, a mode and a coordinate', () => {
    expect(parseArguments([])).toMatchObject({ seeds: [1, 2, 3, 4], scenarios: names, mode: undefined });
    expect(parseArguments(['--seeds', '2', '--seed', '9', '--scenario', 'groups', '--mode', 'ring'])).toEqual({
      seeds: [9, 10],
      scenarios: ['groups'],
      mode: 'ring',
      replay: undefined,
    });
    expect(parseArguments(['--help'])).toBe('help');
  });

  test.each([
    [['--seeds', '0'], '--seeds is an integer'],
    [['--seed', 'x'], '--seed is an integer'],
    [['--scenario', 'none'], 'there is no scenario none'],
    [['--mode', 'none'], 'there is no mode none'],
    [['--replay', '1@1:none'], '--replay needs'],
    [['--sedes', '3'], '--sedes'],
  ])('refuses %j', (args, message) => {
    expect(() => parseArguments(args)).toThrow(message);
  });
});
