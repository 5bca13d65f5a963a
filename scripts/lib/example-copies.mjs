import { cpSync, existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { run } from './run.mjs';
import { readManifest, repositoryRoot, workspaceMembers } from './workspace.mjs';

/** @typedef {import('./workspace.mjs').Member} Member */

/** What is made in the folder of an example, and is not part of it. */
const made = new Set(['node_modules', 'dist', '.turbo', 'data']);

export const exampleMembers = () =>
  workspaceMembers(repositoryRoot).filter(({ folder }) => folder.startsWith('examples/'));

/**
 * Copies the folder of an example, and lays beside it what its package.json declares and nothing else: packages of this
 * repository as they were unpacked, others as they are installed.
 *
 * @param {Member} example
 * @param {string} into the folder for the copies, outside the repository
 * @param {string} packages the `node_modules` with the packages
 */
export const copyExample = ({ folder, manifest }, into, packages) => {
  const copy = join(into, basename(folder));
  cpSync(join(repositoryRoot, folder), copy, { recursive: true, filter: (source) => !made.has(basename(source)) });
  for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
    const target = join(packages, name);
    const installed = join(repositoryRoot, folder, 'node_modules', name);
    const link = join(copy, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    symlinkSync(realpathSync(name.startsWith('@walstack/') ? target : installed), link, 'junction');
  }
  return copy;
};

/** A program of a package that is installed in a folder. @param {string} folder @param {string} name @param {string} program */
const programIn = (folder, name, program) => {
  const installed = join(folder, 'node_modules', name);
  const { bin } = readManifest(installed);
  const file = typeof bin === 'object' ? bin[program] : bin;
  return file === undefined ? undefined : join(installed, file);
};

/**
 * Builds a copy of an example, and checks its types, as its scripts do.
 *
 * @param {string} copy
 */
export const copyFailures = async (copy) => {
  const failures = [];
  for (const [name, program] of /** @type {const} */ ([
    ['tsup', 'tsup'],
    ['typescript', 'tsc'],
  ])) {
    const what = `${basename(copy)}, copied out of the repository: ${program}`;
    const file = existsSync(join(copy, 'node_modules', name)) ? programIn(copy, name, program) : undefined;
    if (file === undefined) {
      failures.push(`${what} is not in what its package.json declares`);
      continue;
    }
    const { ok, output } = await run(process.execPath, [file], { cwd: copy, env: process.env });
    if (!ok) failures.push(`${what} fails: ${output}`);
  }
  return failures;
};
