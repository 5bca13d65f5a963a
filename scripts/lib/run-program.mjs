import { existsSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { Worker } from 'node:worker_threads';
import { repositoryRoot } from './workspace.mjs';

/** @param {string} installation a folder `node_modules` @returns {string[]} */
const installedIn = (installation) =>
  readdirSync(installation)
    .filter((name) => !name.startsWith('.') && name !== '@walstack')
    .flatMap((name) =>
      name.startsWith('@') ? readdirSync(join(installation, name)).map((each) => `${name}/${each}`) : [name],
    );

/**
 * A folder in which programs find packages as if they were installed there.
 *
 * @param {string} parent
 * @param {import('./workspace.mjs').Member[]} packages
 * @param {string[]} installations folders `node_modules`, for packages from outside
 */
export const folderWithPackages = (parent, packages, installations) => {
  const folder = mkdtempSync(join(parent, 'walstack-programs-'));
  /** @param {string} name @param {string} target */
  const install = (name, target) => {
    const link = join(folder, 'node_modules', name);
    mkdirSync(dirname(link), { recursive: true });
    if (!existsSync(link)) symlinkSync(target, link, 'junction');
  };
  for (const { manifest, folder: place } of packages) install(manifest.name, join(repositoryRoot, place));
  for (const installation of installations) {
    for (const name of installedIn(installation)) install(name, join(installation, name));
  }
  return folder;
};

/** @param {import('node:stream').Readable} stream */
const textOf = async (stream) => {
  let text = '';
  for await (const part of stream) text += part;
  return text;
};

/**
 * Runs a program to its end, in a directory of its own, which is also that for temporary files. It runs in a thread, which
 * starts in a fraction of the time of a process and shares no module with others.
 *
 * @param {string} folder with the packages
 * @param {Record<string, string>} files names and texts, the program last
 * @param {NodeJS.ProcessEnv} env what is different from the environment of this process
 * @param {AbortSignal} signal ends a program that does not end
 */
export const runProgram = async (folder, files, env, signal) => {
  const directory = mkdtempSync(join(folder, 'program-'));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  const back = process.cwd();
  process.chdir(directory);
  try {
    const worker = new Worker(join(directory, Object.keys(files).at(-1) ?? ''), {
      stdout: true,
      stderr: true,
      execArgv: [],
      env: { ...process.env, TMPDIR: directory, TMP: directory, TEMP: directory, ...env },
    });
    signal.addEventListener('abort', () => worker.terminate());
    let failure = '';
    worker.once('error', (error) => {
      failure = error.stack ?? String(error);
    });
    /** @type {Promise<number>} */
    const ended = new Promise((resolve) => worker.once('exit', resolve));
    const [exitCode, output, errors] = await Promise.all([ended, textOf(worker.stdout), textOf(worker.stderr)]);
    return { exitCode, output, errors: errors + failure };
  } finally {
    process.chdir(back);
  }
};
