import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { repositoryRoot } from '../lib/workspace.mjs';

const page = readFileSync(join(repositoryRoot, 'docs/parity.md'), 'utf8');

/** The rows of the tables, each as its cells, without those that head a table. */
const rows = page
  .split('\n')
  .filter((line) => line.startsWith('|'))
  .map((line) => line.split(/(?<!\\)\|/).slice(1, -1))
  .filter((cells, index, all) => !isRule(cells) && !isRule(all[index + 1] ?? []));

/** @param {string[]} cells */
function isRule(cells) {
  return cells.length > 0 && cells.every((cell) => /^ *-+ *$/.test(cell));
}

/** The tests that a cell names: a file, and a title in it. @param {string} cell */
const testsIn = (cell) =>
  [...cell.matchAll(/`([^`]+\.test\.[cm]?[jt]s)` “([^”]+)”/g)].map(([, file = '', title = '']) => ({ file, title }));

/** Whether a file has a test with this title. @param {string} file @param {string} title */
function hasTest(file, title) {
  const path = join(repositoryRoot, file);
  if (!existsSync(path)) return false;
  const quoted = ["'", '"', '`'].map((quote) => `${quote}${title}${quote},`);
  const lines = readFileSync(path, 'utf8').split('\n');
  // A test, or the second half of a `test.each`, or its title on a line of its own.
  return lines.some((line) => quoted.some((each) => line.includes(`(${each}`) || line.trim() === each));
}

describe('docs/parity.md', () => {
  test('has rows', () => {
    expect(rows.length).toBeGreaterThan(30);
    expect(rows.every((cells) => cells.length === 3)).toBe(true);
  });

  test.each(rows)('names a test of %s', (...cells) => {
    const tests = cells[2] ?? '';
    const named = testsIn(tests);
    expect(named).not.toEqual([]);
    // Nothing in the cell is missed because it is written in another way.
    expect(tests.match(/“/g)).toHaveLength(named.length);
    expect(named.filter(({ file, title }) => !hasTest(file, title))).toEqual([]);
  });

  test('is held to it: a test that is not there is missed', () => {
    const file = 'packages/wal/test/append.test.ts';
    expect(hasTest(file, 'append writes nothing')).toBe(true);
    expect(hasTest(file, 'append writes')).toBe(false);
    expect(hasTest('packages/wal/test/nothing.test.ts', 'append writes nothing')).toBe(false);
  });
});
