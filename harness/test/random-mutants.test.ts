import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { describe, expect, test } from 'vitest';
import { withDefect } from '../src/mutants/defect.js';
import { defectOf, drawDefects } from '../src/mutants/random/draw.js';
import { EXPLAINED } from '../src/mutants/random/explained.js';
import { mutationsOf } from '../src/mutants/random/mutations.js';
import { runWatched } from '../src/mutants/random/run-watched.js';

const root = resolve(import.meta.dirname, '../..');

/** A source with each of its changes, in turn. */
const changed = (text: string): string[] =>
  mutationsOf(text).map(({ start, end, replace }) => text.slice(0, start) + replace + text.slice(end));

describe('the changes of a source', () => {
  test.each([
    [
      'steps are left out and exchanged',
      '{ a(); b(); c = 1; }',
      ['{ b(); a(); c = 1; }', '{ ; b(); c = 1; }', '{ a(); ; c = 1; }', '{ a(); b(); ; }'],
    ],
    ['bounds are off by one, or turned round', 'x = a < b', [';', 'x = a <= b', 'x = a >= b']],
    ['conditions hold always, or never', 'if (a) b = 1;', ['if (true) b = 1;', 'if (false) b = 1;', 'if (a) ;']],
    ['both of two, or one', 'const x = a && !b;', ['const x = a || !b;', 'const x = a && b;']],
    ['the larger of two is the smaller one', 'const x = Math.max(1, 2);', ['const x = Math.min(1, 2);']],
    ['what is refused is let through; what the error says stays', 'throw new Error(a < b);', [';']],
    ['constants are turned round, and types are not', 'const x: true | 1 = true;', ['const x: true | 1 = false;']],
    ['a sum is a difference, and a text stays one', "const x = a + b, y = 'a' + b;", ["const x = a - b, y = 'a' + b;"]],
    ['a constructor calls that of its class', 'class A extends B { constructor() { super(); } }', []],
  ])('%s', (_what, text, expected) => {
    expect(changed(text).sort()).toEqual([...expected].sort());
  });
});

describe('defects at random', () => {
  test('have one place each in the sources, and are the same ones for the same seed', () => {
    const drawn = drawDefects(root, 200, 5);
    expect(drawn).toHaveLength(200);
    expect(new Set(drawn.map(({ file, find, replace }) => `${file}\0${find}\0${replace}`)).size).toBeGreaterThan(190);
    for (const defect of drawn) {
      const text = readFileSync(join(root, defect.file), 'utf8');
      expect(withDefect(defect, defect.file, text)).not.toBe(text);
    }
    expect(drawDefects(root, 20, 5).map(({ breaks }) => breaks)).toEqual(
      drawn.slice(0, 20).map(({ breaks }) => breaks),
    );
    expect(drawDefects(root, 20, 6).map(({ breaks }) => breaks)).not.toEqual(
      drawn.slice(0, 20).map(({ breaks }) => breaks),
    );
  });

  test('are told from each other by the lines around them', () => {
    const text = 'f(1);\ng();\nf(1);\nh();\n';
    const mutation = mutationsOf(text).find(({ start }) => start === 11);
    const defect = defectOf('a.ts', text, mutation as NonNullable<typeof mutation>);
    expect(defect.breaks).toBe('a.ts:3: `f(1);` becomes `;` in `f(1);`');
    expect(withDefect(defect, 'a.ts', text)).toBe('f(1);\ng();\n;\nh();\n');
  });

  test('that are explained are there', () => {
    for (const { file, change } of EXPLAINED) {
      const text = readFileSync(join(root, file), 'utf8');
      expect(mutationsOf(text).map((mutation) => defectOf(file, text, mutation).change)).toContain(change);
    }
  });
});

test('a program that prints nothing for too long is killed, with what it has started', async () => {
  const inner = 'setInterval(() => {}, 1000)';
  const program = `const child = require('node:child_process').spawn(process.execPath, ['-e', ${JSON.stringify(inner)}]);
    console.log(child.pid); setInterval(() => {}, 1000)`;
  let ending = { stdout: '', hangs: false };
  // A busy machine takes its time to start it.
  for (let silenceMs = 1000; ending.stdout === ''; silenceMs *= 2) {
    ending = await runWatched(['-e', program], { env: process.env, cwd: root, silenceMs });
    expect(ending.hangs).toBe(true);
  }
  await expect.poll(() => isAlive(Number(ending.stdout)), { timeout: 60_000 }).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
}
