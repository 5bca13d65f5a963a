import { join } from 'node:path';
import { isInAddon } from './addon-with.js';
import { type Check, noticedByOwnChecks } from './checks.js';
import { changesOf, type Defect } from './defect.js';
import { overlayWith } from './overlay.js';
import { allParts, outcomeOf, type Part, runParts } from './parts.js';
import { programsWith } from './patched-bundle.js';
import { environment, type Place } from './place.js';
import { runWatched } from './run-watched.js';
import { TestRunner } from './tests/test-runner.js';

/** Longer than any part goes on without a word on a busy machine. */
const LIMIT_MS = 15 * 60_000;

/** What is far from the package with the defect, and made of it: its tests see what those of the package do not. */
const TESTS_ABOVE: Readonly<Record<string, readonly string[]>> = {
  codec: ['segmented'],
  'mmap-reader': ['segmented', 'wal'],
  segmented: ['wal', 'percore'],
  'storage-io': ['segmented'],
};

/** What no program of the checks is made of, or what all of them stand on. */
const hasChecksOfItsOwn = (defect: Defect): boolean =>
  isInAddon(defect) || changesOf(defect).some(({ file }) => file.startsWith('packages/storage-io/src/simulation/'));

/**
 * Looks for a defect without being told where: in a brief exploration of every scenario, in the tests of its package and of
 * those above it, in damaged logs, and at last in a longer exploration in which operations fail as well.
 */
export const noticedBlindly: Check = async (defect, place) => {
  if (hasChecksOfItsOwn(defect)) {
    const by = await noticedByOwnChecks(defect, place);
    return by === undefined ? undefined : `by the check that it names: ${by}`;
  }
  const { root, folder } = place;
  const overlay = overlayWith(root, join(folder, 'sources'), defect);
  const { programs, unexplored } = await programsWith(root, folder, overlay);
  const parts = allParts(root);
  const named = (kind: Part['kind']): readonly string[] =>
    parts.filter((part) => part.kind === kind).map(({ name }) => name);
  const runner = new TestRunner({ root, overlay }, environment());
  const run = { programs, runner, env: {}, limitMs: LIMIT_MS };
  try {
    const explored = unexplored.length === 0;
    return (
      (explored ? await runParts('explore', named('explore'), run) : undefined) ??
      (await testsThatNotice(defect, named('tests'), place, runner)) ??
      (await runParts('fuzz', named('fuzz'), run)) ??
      (explored ? await exploreAtLength(programs.explore, root) : undefined)
    );
  } finally {
    runner.close();
  }
};

/** How long each file of tests took, and those that fail without any defect, as they need what was built. */
const took = new Map<string, number>();
const unsound = new Map<string, boolean>();

/** The tests of the package and of those above it, each package's cheapest first as far as that is known. */
async function testsThatNotice(
  defect: Defect,
  files: readonly string[],
  { root }: Place,
  runner: TestRunner,
): Promise<string | undefined> {
  const [, name = ''] = defect.file.split('/');
  for (const tested of [name, ...(TESTS_ABOVE[name] ?? [])]) {
    const own = files.filter((file) => file.startsWith(`packages/${tested}/`));
    for (const file of own.sort((a, b) => (took.get(a) ?? 0) - (took.get(b) ?? 0))) {
      if (unsound.get(file) === true) continue;
      const started = performance.now();
      const ending = await runner.run({ file, env: {} }, LIMIT_MS);
      took.set(file, performance.now() - started);
      const failed = ending.hangs ? 'it hangs' : ending.failed[0];
      if (failed === undefined || !(ending.hangs || (await failsAgain(file, runner)))) continue;
      if (!unsound.has(file)) unsound.set(file, await failsWithoutAnyDefect(file, root));
      if (unsound.get(file) === false) return `tests: ${file}: ${failed}`;
    }
  }
  return undefined;
}

/** What fails now and then notices nothing. */
async function failsAgain(file: string, runner: TestRunner): Promise<boolean> {
  const ending = await runner.run({ file, env: {} }, LIMIT_MS);
  return ending.hangs || ending.failed.length > 0;
}

async function failsWithoutAnyDefect(file: string, root: string): Promise<boolean> {
  const runner = new TestRunner({ root }, environment());
  try {
    const ending = await runner.run({ file, env: {} }, LIMIT_MS);
    return ending.hangs || ending.failed.length > 0;
  } finally {
    runner.close();
  }
}

const exploreAtLength = async (program: string, root: string): Promise<string | undefined> =>
  outcomeOf('explore at length', await runWatched([program], { env: environment(), cwd: root, silenceMs: LIMIT_MS }));
