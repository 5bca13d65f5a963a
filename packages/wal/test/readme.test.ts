import { readFileSync } from 'node:fs';
import { LOG_OPTIONS } from '@walstack/segmented/internal';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import {
  namedDefault,
  optionComments,
  optionRows,
  shown,
  shownDefault,
} from '../../../harness/test-kit/option-rows.js';
import { OWN_OPTIONS, PRESETS } from '../src/options.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

const ROWS = optionRows(readme);

/** The names of all options: the builder has a method for each. */
const OPTIONS = Object.keys(Wal.builder('log')).filter((name) => name !== 'build');

test('the page on observability explains every figure of stats()', async () => {
  const page = readFileSync(new URL('../../../docs/observability.md', import.meta.url), 'utf8');
  await using wal = await Wal.open('/log', { io: 'memory' });
  for (const name of Object.keys(wal.stats())) expect(page).toContain(`\`${name}\``);
});

test('the options of a log are those of its segments, without what the log sets, and its own', () => {
  const taken = Object.keys(LOG_OPTIONS).filter((name) => name !== 'directory' && name !== 'coreId');
  expect(OPTIONS).toEqual([...Object.keys(OWN_OPTIONS), ...taken]);
});

test.each(Object.entries(OWN_OPTIONS))('the doc comment of %s has its default', (name, row) => {
  const source = readFileSync(new URL('../src/options.ts', import.meta.url), 'utf8');
  const comment = optionComments(source, 'WalOptions').get(name) ?? '';
  expect(namedDefault(comment)).toMatch(shownDefault(name, row.default));
});

describe('the README', () => {
  test('has one row for each option, and no other', () => {
    expect(ROWS.map(({ names }) => names)).toEqual(expect.arrayContaining(OPTIONS.map((name) => [name])));
    expect(ROWS).toHaveLength(OPTIONS.length);
  });

  test.each(ROWS)('has the default of $names', ({ names: [name = ''], shown }) => {
    const defaults: Readonly<Record<string, { readonly default: unknown }>> = { ...OWN_OPTIONS, ...LOG_OPTIONS };
    expect(shown).toMatch(shownDefault(name, defaults[name]?.default));
  });

  test.each(Object.entries(PRESETS))('has the values that the preset %s sets', (preset, values) => {
    const [row = ''] = new RegExp(`^\\| \`'${preset}'\` \\|.*$`, 'm').exec(readme) ?? [];
    for (const [name, value] of Object.entries(values)) {
      expect(row).toMatch(new RegExp(`\`${name}\`[^,]* ${shown(value)}(?= |,)`));
    }
    expect(Object.keys(values).length > 0 || row.includes('nothing: the defaults')).toBe(true);
  });

  test('names every call and property', () => {
    const names = Object.getOwnPropertyNames(Wal.prototype).filter((name) => name !== 'constructor');
    for (const name of names) expect(readme).toMatch(new RegExp(`\`${name}[\`(]`));
  });
});
