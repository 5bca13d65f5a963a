import { readFileSync } from 'node:fs';
import { CoreWalWriter, PerCoreRecovery, PerCoreWalManager, PerCoreWalReader } from '@walstack/percore';
import { LOG_OPTION_NAMES, LOG_OPTIONS } from '@walstack/segmented/internal';
import { describe, expect, test } from 'vitest';
import { optionRows, shownDefault } from '../../../harness/test-kit/option-rows.js';
import { CONFIG_NAMES } from '../src/manager/manager-config.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

const ROWS = optionRows(readme);

const OPTIONS: readonly string[] = CONFIG_NAMES;

describe('the README', () => {
  test('has each option once, and no other', () => {
    expect(OPTIONS).toContain('directory');
    expect(ROWS.flatMap(({ names }) => names).sort()).toEqual([...OPTIONS].sort());
  });

  test('leaves to the README of the logs what it passes on to them', () => {
    const passedOn = ROWS.find(({ names }) => names.includes('segmentBytes'));
    expect(passedOn?.shown).toBe('as there');
    expect(passedOn?.names).toEqual(LOG_OPTION_NAMES.filter((name) => passedOn?.names.includes(name)));
    expect(OPTIONS.slice(0, passedOn?.names.length)).toEqual(passedOn?.names);
  });

  test.each(['create', 'io', 'recoveryMode'] as const)('has the default of the logs for %s', (name) => {
    const row = ROWS.find(({ names }) => names.includes(name));
    expect(row?.shown).toMatch(shownDefault(name, LOG_OPTIONS[name].default));
  });

  test.each([CoreWalWriter, PerCoreRecovery, PerCoreWalManager, PerCoreWalReader])(
    'names every call and property of %o',
    (type) => {
      const names = Object.getOwnPropertyNames(type.prototype).filter((name) => name !== 'constructor');
      for (const name of names) expect(readme).toMatch(new RegExp(`\`${name}[\`(]`));
    },
  );
});
