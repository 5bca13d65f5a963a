import { appendFileSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { transform } from 'esbuild';
import { describe, expect, test } from 'vitest';
import { allDefects, defectsIn, described, drawDefects } from '../src/mutants/random/draw.js';
import { EXPLAINED } from '../src/mutants/random/explained.js';
import { withChanges } from '../src/mutants/random/marks.js';
import { mutationsOf } from '../src/mutants/random/mutations.js';
import { keptReachOf, type ReachingPart } from '../src/mutants/random/reach.js';
import { Results } from '../src/mutants/random/results.js';
import { Experience, selectionFor } from '../src/mutants/random/selection.js';
import { runWatched } from '../src/mutants/run-watched.js';
import { sideBySide } from '../src/mutants/side-by-side.js';
import { type Noticed, noticedSteadily } from '../src/mutants/steady.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

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
    [
      'lists of names are none of it',
      'const A = optionNames<B>({ c: true }), d = true;',
      ['const A = optionNames<B>({ c: true }), d = false;'],
    ],
  ])('%s', (_what, text, expected) => {
    expect(changed(text).sort()).toEqual([...expected].sort());
  });
});

describe('defects at random', () => {
  const all = allDefects(root);

  test('are the same ones for the same seed, and each is drawn once', () => {
    const drawn = drawDefects(all, 200, 5).map(described);
    expect(new Set(drawn).size).toBe(200);
    expect(drawDefects(all, 20, 5).map(described)).toEqual(drawn.slice(0, 20));
    expect(drawDefects(all, 20, 6).map(described)).not.toEqual(drawn.slice(0, 20));
  });

  test('have a name each', () => {
    expect(new Set(all.map(({ file, change }) => `${file} ${change}`)).size).toBe(all.length);
    expect(defectsIn('a.ts', 'f(1);\ng();\nf(1);\n').map(described)).toEqual([
      'a.ts:1: `f(1);` becomes `;` in `f(1);`',
      'a.ts:2: `g();` becomes `;` in `g();`',
      'a.ts:3: `f(1);` becomes `;` in `f(1);` (2)',
    ]);
  });

  test('that are explained are there', () => {
    const known = new Set(all.map(({ file, change }) => `${file} ${change}`));
    expect(EXPLAINED.map(({ file, change }) => `${file} ${change}`).filter((name) => !known.has(name))).toEqual([]);
  });
});

describe('changes in the sources', () => {
  /** What a function body returns with a change made, and which changes it reached. */
  async function returned(body: string, chosen?: number): Promise<{ value: unknown; reached: readonly number[] }> {
    const text = `export default async (f: (...them: unknown[]) => unknown) => {${body}}`;
    const changes = mutationsOf(text).map((mutation, number) => ({ number, mutation }));
    const reached = new Set<number>();
    const changed = (number: number): boolean => {
      reached.add(number);
      return number === chosen;
    };
    const isMade = (number: number): boolean => number === chosen;
    const unlike = (number: number, value: unknown, other: () => unknown): unknown => {
      if (other() !== value) reached.add(number);
      return value;
    };
    Object.assign(globalThis, { changedInTest: { changed, isMade, unlike } });
    const runtime = `data:text/javascript,export const { changed, isMade, unlike } = globalThis.changedInTest; // ${Math.random()}`;
    const { code } = await transform(withChanges(text, changes, runtime), { loader: 'ts', format: 'esm' });
    const { default: run } = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as {
      default: (f: (them: unknown) => unknown) => Promise<unknown>;
    };
    const called: unknown[] = [];
    const value = await run((it) => called.push(it));
    return { value: value ?? called.join(), reached: [...reached].sort((a, b) => a - b) };
  }

  test.each([
    ['f(1); f(2); f(3);', '1,2,3', ['2,1,3', '2,3', '1,3,2', '1,3', '1,2']],
    ['if (1 < 2) f(1); else f(2);', '1', ['1', '2', '1', '2', '', '1']],
    ['for (const each of [1, 2]) if (each === 1) throw new Error(); else return each;', 'Error', []],
    ['return !(3 - 1 - 1);', false, [1, false, false]],
    ['const g = (a = 1 + 1) => a; return g();', 2, [0]],
    ['class A { b = Math.max(1, 2) } return new A().b', 2, [1]],
    ['return [true, 1 < 2 && 2 < 2].join()', 'true,false', ['false,false', 'true,true', 'true,false', 'true,false']],
    ['await f(1); await f(2);', '1,2', ['2,1', '2', '1']],
  ])('%s', async (body, expected, others) => {
    if (expected === 'Error') {
      await expect(returned(body)).rejects.toThrow();
      return;
    }
    expect((await returned(body)).value).toBe(expected);
    const values: string[] = [];
    for (const [number] of others.entries()) values.push(String((await returned(body, number)).value));
    expect(values.sort()).toEqual(others.map(String).sort());
  });

  test('are reached one by one', async () => {
    expect((await returned('f(1); if (f(0) === 1) { f(2); }')).reached.length).toBeLessThan(
      (await returned('f(1); if (f(0) === 2) { f(2); }')).reached.length,
    );
  });

  test.each([
    // `<=` is the same here.
    ['return 1 < 2', [1]],
    ['return Math.max(2, 1 + 1)', [1]],
    // What does something is not done twice, so that it is not known whether it makes a difference.
    ['return f(0) < 2', [0, 1]],
    ['if (f(0) < 9) return 1', [1, 2, 3]],
  ])('are reached where they make a difference: %s', async (body, expected) => {
    expect((await returned(body)).reached).toEqual(expected);
  });

  test('leave every source one that is parsed, all of them at once', async () => {
    const all = allDefects(root).map((defect, number) => ({ ...defect, number }));
    for (const file of new Set(all.map((defect) => defect.file))) {
      const changes = all.filter((defect) => defect.file === file);
      const text = withChanges(readFileSync(join(root, file), 'utf8'), changes, 'runtime');
      await transform(text, { loader: 'ts' });
      for (const { number } of changes) expect(text).toContain(`(${number})`);
    }
  });
});

describe('what is tried', () => {
  const part = (kind: ReachingPart['kind'], name: string, ms: number, ...reached: number[]): ReachingPart => ({
    kind,
    name,
    ms,
    reached: new Set(reached),
  });

  const wanted = { number: 1, file: 'a.ts' };
  const namesOf = (
    parts: readonly ReachingPart[],
    experience = new Experience(),
    thorough = false,
  ): readonly string[] => selectionFor(wanted, parts, experience, thorough).map(({ name }) => name);

  test('is what reaches the change, first what is quick and comes to few others', () => {
    const parts = [
      part('fuzz', 'target', 5, 1, 2, 3),
      part('tests', 'of all', 10, 1, 2, 3, 4),
      part('tests', 'its own', 11, 1),
      part('explore', 'quick', 1, 1, 2),
      part('explore', 'elsewhere', 1, 2),
    ];
    expect(namesOf(parts)).toEqual(['quick', 'its own', 'target', 'of all']);
    expect(namesOf([])).toEqual([]);
  });

  test('is first what has noticed another change of the same file', () => {
    const parts = [part('explore', 'quick', 1, 1), part('tests', 'slow', 100, 1), part('tests', 'as slow', 101, 1)];
    const experience = new Experience();
    experience.noticed('a.ts', { kind: 'tests', name: 'as slow' });
    experience.noticed('b.ts', { kind: 'tests', name: 'slow' });
    expect(namesOf(parts, experience)).toEqual(['as slow', 'quick', 'slow']);
  });

  test('is as much as the time goes, some whatever it takes, or all', () => {
    const slow = Array.from({ length: 20 }, (_, each) => part('tests', `slow ${each}`, 6000 + each, 1));
    expect(namesOf(slow)).toHaveLength(12);
    const quick = Array.from({ length: 50 }, (_, each) => part('tests', `quick ${each}`, 1000, 1));
    expect(namesOf([...quick, ...slow])).toHaveLength(51);
    expect(namesOf([...quick, ...slow], new Experience(), true)).toHaveLength(70);
  });

  test('is seen once for the same sources', async () => {
    const folder = temporaryDirectory();
    const file = join(folder, 'reach');
    let times = 0;
    const see = async (): Promise<readonly ReachingPart[]> => {
      times++;
      return [part('tests', 'one', 7, 1, 5)];
    };
    for (const key of ['a', 'a', 'b', 'b']) {
      expect(await keptReachOf(file, key, see)).toEqual([part('tests', 'one', 7, 1, 5)]);
    }
    expect(times).toBe(2);
  });

  test('is not tried again when the file of results has it', () => {
    const folder = temporaryDirectory();
    const file = join(folder, 'results.jsonl');
    const [one, other] = drawDefects(allDefects(root), 2, 1) as [never, never];
    expect(new Results(file, 'today').of(one)).toBeUndefined();
    const { file: source, line, change } = one as { file: string; line: number; change: string };
    new Results(file, 'today').add({ file: source, line, change, verdict: 'caught', by: 'a test', seconds: 1.5 });
    // What was interrupted while it was written does not count.
    appendFileSync(file, '{"file":');
    const again = new Results(file, 'today');
    expect(again.of(one)).toMatchObject({ verdict: 'caught', by: 'a test' });
    expect(again.of(other)).toBeUndefined();
    // Nor is anything written behind it.
    again.add({ ...(other as { file: string; line: number; change: string }), verdict: 'unreached', seconds: 0 });
    expect(new Results(file, 'today').of(other)).toMatchObject({ verdict: 'unreached' });
    // What was judged in other sources says nothing of these.
    const others = new Results(file, 'tomorrow');
    expect([others.of(one), others.outdated, again.outdated]).toEqual([undefined, 2, 0]);
  });

  test.each<[string, readonly (string | undefined)[], Noticed]>([
    ['notices it', ['it fails', undefined, 'it fails'], { by: 'it fails' }],
    ['fails once', ['it fails', undefined, undefined], 'unsteady'],
    ['fails without it as well', ['it fails', 'it fails'], 'unsteady'],
    ['hangs', ['it hangs', undefined, 'it hangs'], { by: 'it hangs' }],
    ['hangs once', ['it hangs', undefined, undefined], 'unsteady'],
    ['hangs without it as well', ['it hangs', 'it hangs'], 'unsteady'],
    ['passes', [undefined], { by: undefined }],
  ])('a part that %s', async (_what, endings, expected) => {
    const rest = [...endings];
    const asked: boolean[] = [];
    const run = async (isChanged: boolean): Promise<string | undefined> => {
      asked.push(isChanged);
      return rest.shift();
    };
    expect(await noticedSteadily(run)).toEqual(expected);
    expect(asked).toEqual([true, false, true].slice(0, endings.length));
  });

  test('is tried so many at a time, in its order', async () => {
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    await sideBySide([1, 2, 3, 4, 5], 2, async (item) => {
      begun.push(item);
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    });
    expect([begun, most]).toEqual([[1, 2, 3, 4, 5], 2]);
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
