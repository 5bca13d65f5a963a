import process from 'node:process';
import { tarballOf } from './tarballs.mjs';
import { publishedMembers, repositoryRoot } from './workspace.mjs';

/** @typedef {{ name: string, commands: [string, ...string[]][] }} Check a step of `npm test` that is not a test */

const packages = publishedMembers(repositoryRoot);

/**
 * Every check, in the order in which they run: the later ones look at what the build and the packing have made.
 *
 * @type {Check[]}
 */
export const checks = [
  { name: 'build', commands: [['turbo', 'run', 'build', '--output-logs=errors-only']] },
  { name: 'biome', commands: [['biome', 'check', '.', '--error-on-warnings']] },
  { name: 'typecheck', commands: [['turbo', 'run', 'typecheck', 'typecheck:root', '--output-logs=errors-only']] },
  { name: 'layers', commands: [[process.execPath, 'scripts/check-layers.mjs']] },
  { name: 'hygiene', commands: [[process.execPath, 'scripts/check-hygiene.mjs']] },
  { name: 'knip', commands: [['knip', '--no-progress', '--treat-config-hints-as-errors']] },
  // Links that lead nowhere, and doc comments that TypeDoc does not understand, fail.
  { name: 'site', commands: [['pnpm', '--filter', '@walstack/docs', 'site']] },
  { name: 'pack', commands: [[process.execPath, 'scripts/pack-packages.mjs']] },
  { name: 'publint', commands: packages.map((member) => ['publint', 'run', tarballOf(member), '--strict']) },
  {
    name: 'types as published',
    commands: packages.map((member) => ['attw', tarballOf(member), '--profile', 'esm-only']),
  },
  { name: 'packages load', commands: [[process.execPath, 'scripts/check-packages.mjs']] },
  { name: 'examples alone', commands: [[process.execPath, 'scripts/check-examples.mjs']] },
];
