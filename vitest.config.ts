import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { defineConfig } from 'vitest/config';
import { testSeed } from './scripts/lib/test-seed.mjs';
import { repositoryRoot, workspaceMembers } from './scripts/lib/workspace.mjs';

/** One project for every package that has tests, named as the package is. */
const memberProjects = workspaceMembers(repositoryRoot)
  .map(({ folder, manifest }) => ({ root: join(repositoryRoot, folder), name: manifest.name }))
  .filter(({ root }) => existsSync(join(root, 'test')))
  .map((project) => ({ extends: true as const, test: { ...project, include: ['test/**/*.test.ts'] } }));

// Every project loads this file again: what the first of them chose goes on in the environment.
const asked = process.env['WALSTACK_TEST_SEED'];
const seed = String(testSeed(repositoryRoot, asked));
if (seed !== asked) {
  console.log(
    `Seed of the tests: ${seed}; with WALSTACK_TEST_SEED in the environment another one, or a new one with 'random'.`,
  );
  process.env['WALSTACK_TEST_SEED'] = seed;
}

export default defineConfig({
  test: {
    // Tests start worker threads, send signals and change the working directory: each file has a process of its own.
    pool: 'forks',
    // Vitest's default leaves a processor free; with two processors that would be half of them.
    maxWorkers: '100%',
    env: { WALSTACK_TEST_SEED: seed },
    setupFiles: [join(repositoryRoot, 'scripts/lib/seed-properties.mjs')],
    // Only a test that hangs is meant to meet these; none may depend on how fast a machine is.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    projects: [
      ...memberProjects,
      {
        extends: true,
        test: { root: join(repositoryRoot, 'scripts'), name: 'scripts', include: ['test/**/*.test.mjs'] },
      },
    ],
  },
});
