import { readFileSync } from 'node:fs';
import { LOG_OPTION_NAMES, LOG_OPTIONS } from '@walstack/segmented/internal';
import { describe, expect, test } from 'vitest';
import { namedDefault, optionComments, optionRows, shownDefault } from '../../../harness/test-kit/option-rows.js';

const textOf = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8');
const rows = optionRows(textOf('../README.md'));
const comments = optionComments(textOf('../src/options.ts'), 'SegmentedWalConfig');

test('the README has each option once, and no other', () => {
  expect(rows.flatMap(({ names }) => names).sort()).toEqual([...LOG_OPTION_NAMES].sort());
});

describe.each(LOG_OPTION_NAMES)('the default of %s', (name) => {
  const value = LOG_OPTIONS[name].default;

  test('is the one in the README', () => {
    expect(rows.find(({ names }) => names.includes(name))?.shown).toMatch(shownDefault(name, value));
  });

  test('is the one in the doc comment', () => {
    // What compresses nothing is described in words.
    if (name === 'compression') expect(comments.get(name)).toContain('Default: no compression.');
    else expect(namedDefault(comments.get(name) ?? 'Default missing')).toMatch(shownDefault(name, value));
  });
});
