import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { integerOf, parseOptions, runCommand, seedOf } from '../command-line.js';
import { checksFor } from './checks.js';
import type { Defect } from './defect.js';
import { DEFECTS } from './defects/index.js';
import { drawDefects } from './random/draw.js';
import { EXPLAINED } from './random/explained.js';
import { noticedAtRandom } from './random/random-checks.js';

const HELP = `pnpm mutants [--only NAME]
pnpm mutants --random N [--seed S]

Puts defects into the source, one at a time, and looks whether the checks notice. The exit code is 1 when one goes unnoticed.

Without --random, all deliberate defects: power cuts and failing operations in every scenario, damaged logs, or the tests of a
package.

  --only NAME  only this defect

With --random, small changes of any source between an append and what is read back: steps left out or exchanged, bounds off by
one, conditions turned round. Each meets power cuts in every scenario, the tests of its package and of those above it, and
damaged logs, in a short form. What survives is printed; what was read and changes nothing that is promised is
in src/mutants/random/explained.ts.

  --random N   so many of them
  --seed S     the same ones again (default a fresh seed, which is printed)`;

const root = resolve(import.meta.dirname, '../..');

/** What notices a defect; `undefined` when nothing does. */
async function noticed(defect: Defect, folder: string): Promise<string | undefined> {
  for (const check of checksFor(defect)) {
    const by = await check(defect, { root, folder });
    if (by !== undefined) return by;
  }
  return undefined;
}

/** @returns how many went unnoticed */
async function tryDeliberate(only: string | undefined, folder: string): Promise<number> {
  const chosen = DEFECTS.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) throw new Error(`there is no defect ${only}`);
  let caught = 0;
  for (const defect of chosen) {
    const by = await noticed(defect, folder);
    if (by !== undefined) caught++;
    console.log(
      `${by === undefined ? 'UNNOTICED' : 'caught   '} ${defect.name}: ${defect.breaks}\n          ${by ?? ''}`,
    );
  }
  console.log(`mutants: ${chosen.length} defects, ${caught} caught`);
  return chosen.length - caught;
}

/** @returns how many survived that are not explained */
async function tryRandom(count: number, seed: number, folder: string): Promise<number> {
  console.log(`seed ${seed}`);
  const tally = { caught: 0, explained: 0, survived: 0 };
  for (const defect of drawDefects(root, count, seed)) {
    const reason = EXPLAINED.find(({ file, change }) => file === defect.file && change === defect.change)?.because;
    const by = reason === undefined ? await noticedAtRandom(defect, { root, folder }) : undefined;
    const outcome = by !== undefined ? 'caught' : reason !== undefined ? 'explained' : 'survived';
    tally[outcome]++;
    console.log(`${outcome.padEnd(9)} ${defect.breaks}\n          ${by ?? reason ?? ''}`);
  }
  const { caught, explained, survived } = tally;
  console.log(
    `mutants: ${caught + explained + survived} at random, ${caught} caught, ${explained} explained, ${survived} survived`,
  );
  return survived;
}

await runCommand(HELP, async () => {
  const { help, only, random, seed } = parseOptions(process.argv.slice(2), ['only', 'random', 'seed']);
  if (help === true) {
    console.log(HELP);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'walstack-mutants-'));
  try {
    const unnoticed =
      random === undefined
        ? await tryDeliberate(only, folder)
        : await tryRandom(integerOf('random', random, 1), seedOf(seed), folder);
    return unnoticed === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true });
  }
});
