import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { integerOf, parseOptions, runCommand, seedOf } from '../command-line.js';
import { noticedBlindly } from './blind.js';
import { type Check, noticedByOwnChecks } from './checks.js';
import { DEFECTS } from './defects/index.js';
import { allDefects, described, drawDefects, type RandomDefect } from './random/draw.js';
import { Results } from './random/results.js';
import { sourcesKey } from './random/sources-key.js';
import { tryRandom } from './random/try-random.js';
import { secondsSince, sideBySide } from './side-by-side.js';

const HELP = `pnpm mutants [--only NAME] [--blind] [--jobs N]
pnpm mutants --random N [--seed S] [--jobs N] [--results FILE] [--test PATHS] [--thorough]
pnpm mutants --change TEXT [--jobs N] [--results FILE] [--test PATHS] [--thorough]

Puts defects into the source, one at a time, and looks whether the checks notice. The exit code is 1 when one goes unnoticed.

Without --random and --change, all deliberate defects: power cuts and failing operations in every scenario, damaged logs, or the
tests of a package. Each defect names the scenario that is tried first, or the tests. The line says after how many seconds it was
noticed and, by an exploration, after how many states.

  --only NAME     only this defect
  --blind         without the names: a brief exploration of every scenario, the tests of the package and of those above it, some
                  damaged logs, then a longer exploration in which operations fail as well; defects of the native addon and of
                  the simulated disk, which these are not made of or all stand on, keep the check that they name
  --jobs N        so many side by side, each in a folder of its own (default 1)

With --random, small changes of any source between an append and what is read back: steps left out or exchanged, bounds off by
one, conditions turned round. All of them are put into the sources at once, and which one is made is chosen when a program
starts. First the parts of the checks run without any change: every scenario in a brief exploration, every file of tests with the
addon and without it, every fuzz target. What of the changes they reach is noted, where that can be seen without side effects only
if the change makes a difference there, and how long they take. Then each change is made in what reaches it, as far as some time goes: first what is quick, reaches few others, and has noticed other changes of the same
file. What nothing reaches is printed as unreached, what survives as survived; what was read and changes nothing that is
promised is in src/mutants/random/explained.ts. What tests run in other processes is not made of these sources, so that what
only happens there counts as unreached.

  --random N      so many of them
  --seed S        the same ones again (default a fresh seed, which is printed)
  --change TEXT   only those whose printed line has this text in it, of all that there are without --random; of several lines
                  one is enough
  --jobs N        so many side by side, each in a folder of its own (default 1)
  --results FILE  one line of JSON for each change that was judged; what is judged in the file is not tried again, as long as
                  the sources, the tests and --test are the same. What reaches which change is kept beside it
  --thorough      with all that reaches a change, whatever it takes; with --results also those that have survived less
  --test PATHS    only with files of tests whose path begins like one of these, with commas between them`;

const root = resolve(import.meta.dirname, '../..');

/** @returns how many went unnoticed */
async function tryDeliberate(only: string | undefined, notices: Check, jobs: number, folder: string): Promise<number> {
  const chosen = DEFECTS.filter(({ name }) => only === undefined || name === only);
  if (chosen.length === 0) throw new Error(`there is no defect ${only}`);
  let caught = 0;
  await sideBySide(chosen, jobs, async (defect, job) => {
    const own = join(folder, `job-${job}`);
    rmSync(own, { recursive: true, force: true });
    mkdirSync(own, { recursive: true });
    const started = performance.now();
    const by = await notices(defect, { root, folder: own });
    if (by !== undefined) caught++;
    const verdict = by === undefined ? 'UNNOTICED' : 'caught   ';
    console.log(`${verdict} ${defect.name}: ${defect.breaks}\n          ${secondsSince(started)} s ${by ?? ''}`);
  });
  console.log(`mutants: ${chosen.length} defects, ${caught} caught`);
  return chosen.length - caught;
}

/** So many changes at random, or all that there are. */
function defectsOf(count: string | undefined, seedText: string | undefined): readonly RandomDefect[] {
  if (count === undefined) return allDefects(root);
  const seed = seedOf(seedText);
  console.log(`seed ${seed}`);
  return drawDefects(allDefects(root), integerOf('random', count, 1), seed);
}

/** Whether a printed line has one of the texts in it. */
const isAsked = (line: string, texts: string | undefined): boolean =>
  texts === undefined || texts.split('\n').some((text) => line.includes(text));

await runCommand(HELP, async () => {
  const given = parseOptions(
    process.argv.slice(2),
    ['only', 'random', 'seed', 'change', 'jobs', 'results', 'test'],
    ['blind', 'thorough'],
  );
  const { help, only, random, change, results, test, blind = false, thorough = false } = given;
  const jobs = integerOf('jobs', given.jobs ?? '1', 1);
  if (help === true) {
    console.log(HELP);
    return 0;
  }
  const folder = mkdtempSync(join(tmpdir(), 'walstack-mutants-'));
  try {
    if (change !== undefined || random !== undefined) {
      const chosen = defectsOf(random, given.seed).filter((defect) => isAsked(described(defect), change));
      const reach = results === undefined || test !== undefined ? undefined : `${results}.reach`;
      const judged = new Results(results, sourcesKey(root, test ?? ''));
      if (judged.outdated > 0) console.log(`${judged.outdated} results are of other sources and do not count`);
      const trial = { jobs, results: judged, reach, test, thorough };
      return (await tryRandom(chosen, { root, folder }, trial)) === 0 ? 0 : 1;
    }
    return (await tryDeliberate(only, blind ? noticedBlindly : noticedByOwnChecks, jobs, folder)) === 0 ? 0 : 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
