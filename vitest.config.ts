import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { repositoryRoot, workspaceMembers } from './scripts/lib/workspace.mjs';

/** One project for every package that has tests, named as the package is. */
const memberProjects = workspaceMembers(repositoryRoot)
  .map(({ folder, manifest }) => ({ root: join(repositoryRoot, folder), name: manifest.name }))
  .filter(({ root }) => existsSync(join(root, 'test')))
  .map((project) => ({ extends: true as const, test: { ...project, include: ['test/**/*.test.ts'] } }));

export default defineConfig({
  test: {
    // Tests start worker threads, send signals and change the working directory: each file has a process of its own.
    pool: 'forks',
    // Vitest's default leaves a processor free; with two processors that would be half of them.
    maxWorkers: '100%',
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
