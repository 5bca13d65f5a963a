import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { changesOf, withDefect } from '../src/mutants/defect.js';
import { DEFECTS } from '../src/mutants/defects/index.js';
import { SCENARIOS } from '../src/scenarios/index.js';

const root = resolve(import.meta.dirname, '../..');

test('every deliberate defect has its one place in the source, and a scenario that there is', () => {
  expect(DEFECTS.length).toBeGreaterThanOrEqual(16);
  expect(new Set(DEFECTS.map(({ name }) => name)).size).toBe(DEFECTS.length);
  // All at once, as one change moves many.
  const misplaced: string[] = [];
  for (const defect of DEFECTS) {
    for (const { file } of changesOf(defect)) {
      const text = readFileSync(join(root, file), 'utf8');
      try {
        if (withDefect(defect, file, text) === text) misplaced.push(`${defect.name} changes nothing`);
      } catch (error) {
        misplaced.push((error as Error).message);
      }
    }
    if (defect.scenario !== undefined) expect(Object.keys(SCENARIOS)).toContain(defect.scenario);
  }
  expect(misplaced).toEqual([]);
});

test('what a defect puts in names private members that the source has', () => {
  // Where it does not, the source does not build, and every test seems to catch the defect.
  for (const defect of DEFECTS) {
    for (const { file } of changesOf(defect)) {
      const source = readFileSync(join(root, file), 'utf8');
      const members = (text: string): string[] => text.match(/#[A-Za-z]\w*/g) ?? [];
      const declared = new Set(members(source));
      expect(members(withDefect(defect, file, source)).filter((member) => !declared.has(member))).toEqual([]);
    }
  }
});

test('the tests that defects name are there', () => {
  for (const { test: file } of DEFECTS) if (file !== undefined) expect(existsSync(join(root, file))).toBe(true);
});
