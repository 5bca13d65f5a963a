import { join } from 'node:path';
import { isInAddon } from './addon-with.js';
import { type Check, noticedByOwnChecks } from './checks.js';
import { changesOf, type Defect } from './defect.js';
import { overlayWith } from './overlay.js';
import { allParts, outcomeOf, type Part, type Run, runParts } from './parts.js';
import { programsWith } from './patched-bundle.js';
import { environment } from './place.js';
import { runWatched } from './run-watched.js';
import { noticedSteadily } from './steady.js';
import { TestRunner } from './tests/test-runner.js';

/** Longer than any part goes on without output on a busy machine. */
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
      (await testsThatNotice(defect, named('tests'), run)) ??
      (await runParts('fuzz', named('fuzz'), run)) ??
      (explored ? await exploreAtLength(programs.explore, root) : undefined)
    );
  } finally {
    runner.close();
  }
};

/** How long each file of tests took, and those that fail without any defect, as they need what was built. */
const took = new Map<string, number>();
const unsound = new Map<string, string | undefined>();

/** The tests of the package and of those above it, each package's cheapest first as far as that is known. */
async function testsThatNotice(defect: Defect, files: readonly string[], run: Run): Promise<string | undefined> {
  const [, name = ''] = defect.file.split('/');
  for (const tested of [name, ...(TESTS_ABOVE[name] ?? [])]) {
    const own = files.filter((file) => file.startsWith(`packages/${tested}/`));
    for (const file of own.sort((a, b) => (took.get(a) ?? 0) - (took.get(b) ?? 0))) {
      if (unsound.get(file) !== undefined) continue;
      const noticed = await noticedSteadily((isChanged) =>
        isChanged ? failureWithDefect(file, run) : failureWithoutAnyDefect(file, run),
      );
      if (noticed !== 'unsteady' && noticed.by !== undefined) return `tests: ${noticed.by}`;
    }
  }
  return undefined;
}

async function failureWithDefect(file: string, run: Run): Promise<string | undefined> {
  const started = performance.now();
  const failure = await runParts('tests', [file], run);
  took.set(file, performance.now() - started);
  return failure;
}

async function failureWithoutAnyDefect(file: string, run: Run): Promise<string | undefined> {
  if (unsound.has(file)) return unsound.get(file);
  const runner = new TestRunner({ root: run.programs.root }, environment());
  try {
    const failure = await runParts('tests', [file], { ...run, runner });
    unsound.set(file, failure);
    return failure;
  } finally {
    runner.close();
  }
}

const exploreAtLength = async (program: string, root: string): Promise<string | undefined> =>
  outcomeOf('explore at length', await runWatched([program], { env: environment(), cwd: root, silenceMs: LIMIT_MS }));
