import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { forgetFsUnavailable } from '../src/fuse/forgetfs.js';
import { BACKEND_NAMES } from '../src/torture/backends.js';
import { PLANTS } from '../src/torture/damage/plant.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';
import { run, runIn } from './command.js';
import { RUN_SEED } from './run-seed.js';

test.each([
  ['a seed that stays', ['--seed', '7']],
  ['the seed of this run', ['--seed', `${RUN_SEED}`]],
])('every backend keeps its promises in every place through 80 kills with %s', (_what, seed) => {
  const data = temporaryDirectory();
  const { status, stdout, stderr, last } = run('torture', '--kills', '80', '--data', data, ...seed);
  // Of a run that breaks a promise, everything: its logs are gone when the test is.
  console.log(status === 0 ? `${stdout.split('\n', 1)[0]}\n${last}` : stdout);
  expect([status, stderr]).toEqual([0, '']);
  const [, kills, powerCuts, terminated, acknowledged] =
    /^torture: (\d+) kills, (\d+) power cuts, (\d+) worker threads terminated, (\d+) acknowledged, 0 lost$/.exec(
      last,
    ) ?? [];
  expect(Number(kills) + Number(powerCuts)).toBeGreaterThanOrEqual(80);
  expect(Number(terminated)).toBeGreaterThan(0);
  const deeds = /^(\d+) truncations, (\d+) cuts, \d+ resets, (\d+) holds, \d+ releases, \d+ checkpoints$/m.exec(stdout);
  for (const count of deeds?.slice(1) ?? [0]) expect(Number(count)).toBeGreaterThan(0);
  expect(stdout).toMatch(/^\d+ damaged logs salvaged, \d+ kills before they were, \d+ of them in the midst of it$/m);
  expect(Number(acknowledged)).toBeGreaterThan(40);
  for (const backend of BACKEND_NAMES) {
    for (const api of ['wal', 'percore', 'percore-workers']) expect(stdout).toContain(`${backend}, ${api}, `);
  }
  expect(readdirSync(data)).toEqual([]);
});

test.each(PLANTS)('a record that is destroyed by "%s" is reported, with the seed, and its log is kept', (plant) => {
  const data = temporaryDirectory();
  const { status, stdout, stderr, last } = run(
    'torture',
    ...['--kills', '60', '--seed', '11', '--backend', 'sync-fs', '--place', 'plain', '--data', data, '--plant', plant],
  );
  expect([status, stderr]).toEqual([1, '']);
  expect(stdout).toMatch(/^planted: .*wal-\d{10}-\d{20}\.seg /m);
  expect(stdout).toMatch(/^BROKEN in .*walstack-torture-/m);
  expect(stdout).toContain('broken with --seed 11');
  expect(last).toMatch(/ [1-9]\d* lost, 1 broken promises$/);
  expect(readdirSync(data)).toHaveLength(1);
});

const noFuse = await forgetFsUnavailable();

test.skipIf(noFuse !== undefined).each(['bytes', 'names'])(
  'syncs that do nothing for %s are found when the power goes',
  (what) => {
    const data = temporaryDirectory();
    const environment = { NODE_OPTIONS: `--import=${new URL(`support/no-sync-of-${what}.mjs`, import.meta.url)}` };
    const args = ['--kills', '200', '--seed', '5', '--place', 'forgetful', '--backend', 'sync-fs', '--data', data];
    const { status, last } = runIn(environment, 'torture', ...args);
    expect(status).toBe(1);
    expect(last).toMatch(/ [1-9]\d* broken promises$/);
  },
);

test.each([
  ['salvage-without-a-word', 'salvage says nothing of what is lost'],
  ['forgotten-commits', 'puts were committed for good, and the last commit there is of 0'],
  ['flushes-that-do-nothing', ' were flushed, and the log ends with '],
])('%s is found', (what, text) => {
  const data = temporaryDirectory();
  const environment = { NODE_OPTIONS: `--import=${new URL(`support/${what}.mjs`, import.meta.url)}` };
  const args = ['--kills', '600', '--seed', '3', '--place', 'plain', '--backend', 'sync-fs', '--data', data];
  const { status, stdout } = runIn(environment, 'torture', ...args);
  expect(status).toBe(1);
  expect(stdout).toContain(text);
});

test.each([
  ['a backend that does not exist', ['--backend', 'tape'], '--backend must be one of all, sync-fs'],
  ['a number that is none', ['--kills', 'many'], '--kills must be a number'],
  ['an unknown option', ['--gently'], '--gently'],
])('%s is refused with exit code 2', (_what, args, message) => {
  const { status, stdout, stderr } = run('torture', ...args);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
});
