import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { HOSTILE_BODIES } from '../src/fuzz/hostile-bodies.js';

interface Result {
  readonly name: string;
  readonly sizes: readonly number[];
  readonly work: readonly number[];
}

/** The work for every hostile segment, in blocks of code that were run: no machine and no moment has a say in it. */
const results = (() => {
  const program = fileURLToPath(new URL('../dist/work.js', import.meta.url));
  const { stdout, stderr } = spawnSync(process.execPath, ['--no-opt', program], {
    encoding: 'utf8',
    env: { ...process.env, WALSTACK_NATIVE: '0' },
  });
  expect(stderr).toBe('');
  return JSON.parse(stdout) as readonly Result[];
})();

test.each(Object.keys(HOSTILE_BODIES))('%s: the work is linear in the size of the file', (name) => {
  const { sizes, work } = results.find((result) => result.name === name) as Result;
  for (const [index, bytes] of sizes.entries()) {
    // A search through each byte, and sixteen times a checksum of all of it, eight bytes a round.
    expect(work[index]).toBeGreaterThan(bytes / 8);
    expect(work[index]).toBeLessThan(12 * bytes);
    if (index > 0) expect((work[index] as number) / (work[index - 1] as number)).toBeLessThan(2.2);
  }
});
