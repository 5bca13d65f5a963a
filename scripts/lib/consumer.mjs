import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { filesIn } from './pack-rules.mjs';
import { readManifest, repositoryRoot } from './workspace.mjs';

/**
 * @typedef {object} Consumer an empty project in which the packages are installed
 * @property {string} folder
 * @property {readonly [command: string, ...args: string[]]} node the Node.js that it runs on
 * @property {boolean} hasAddon whether there is a binary for this platform
 */

const programs = join(repositoryRoot, 'scripts', 'consumer');
const minute = 60_000;

/** The kinds of TypeScript project, and which of the programs each compiles. */
const kinds = {
  nodenext: { module: 'nodenext', files: ['typed.ts', 'common.cts'] },
  node16: { module: 'node16', files: ['typed.ts'] },
  bundler: { module: 'esnext', files: ['typed.ts'] },
};

/** Makes a project of programs that use the packages. @param {string} folder */
export const layProject = (folder) => {
  mkdirSync(folder, { recursive: true });
  const manifest = { name: 'walstack-consumer', version: '1.0.0', private: true, type: 'module' };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest)}\n`);
  for (const name of readdirSync(programs)) copyFileSync(join(programs, name), join(folder, name));
};

/**
 * Runs a program with the addon, where there is one, and without.
 *
 * @param {Consumer} consumer
 * @param {string} program
 */
const runFailures = ({ folder, node: [command, ...before], hasAddon }, program) =>
  (hasAddon ? ['', '0'] : ['0']).flatMap((setting) => {
    // The first versions that load ES modules by require() call that experimental.
    const args = [...before, '--disable-warning=ExperimentalWarning', program];
    const env = { ...process.env, WALSTACK_NATIVE: setting };
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      encoding: 'utf8',
      env,
      timeout: 5 * minute,
    });
    const expected = JSON.stringify({ available: setting === '', texts: ['one', 'two'] });
    if (status === 0 && stderr === '' && stdout.trim() === expected) return [];
    return [`${program}, WALSTACK_NATIVE="${setting}", printed "${stdout.trim()}", not "${expected}": ${stderr}`];
  });

/**
 * Uses the packages by import and by require().
 *
 * @param {Consumer} consumer
 */
export const useFailures = (consumer) => ['use.mjs', 'use.cjs'].flatMap((program) => runFailures(consumer, program));

/** TypeScript finds the types of Node.js where an install would lay them. @param {string} folder */
const linkNodeTypes = (folder) => {
  const types = join(folder, 'node_modules', '@types', 'node');
  if (existsSync(types)) return;
  mkdirSync(dirname(types), { recursive: true });
  symlinkSync(join(repositoryRoot, 'node_modules', '@types', 'node'), types, 'junction');
};

/**
 * Compiles the programs in TypeScript in every kind of project, the types of the packages included, and runs the results.
 *
 * @param {Consumer} consumer
 */
export const typeScriptFailures = (consumer) => {
  const { folder } = consumer;
  linkNodeTypes(folder);
  return Object.entries(kinds).flatMap(([moduleResolution, { module, files }]) => {
    const compilerOptions = {
      target: 'es2022',
      lib: ['es2023'],
      types: ['node'],
      strict: true,
      outDir: moduleResolution,
    };
    const config = { compilerOptions: { ...compilerOptions, module, moduleResolution, skipLibCheck: false }, files };
    writeFileSync(join(folder, `tsconfig.${moduleResolution}.json`), JSON.stringify(config));
    const compiler = join(repositoryRoot, 'node_modules', 'typescript', 'bin', 'tsc');
    const args = [compiler, '-p', `tsconfig.${moduleResolution}.json`];
    const { status, stdout } = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    if (status !== 0) return [`TypeScript with moduleResolution ${moduleResolution}: ${stdout}`];
    return files.flatMap((file) => runFailures(consumer, join(moduleResolution, file.replace(/ts$/, 'js'))));
  });
};

/**
 * Has every program of the packages print its help.
 *
 * @param {Consumer} consumer
 * @param {string[]} names of packages
 */
export const programFailures = ({ folder, node: [command, ...before] }, names) =>
  names.flatMap((name) => {
    const installed = join(folder, 'node_modules', name);
    return filesIn(readManifest(installed).bin).flatMap((file) => {
      const args = [...before, join(installed, file), '--help'];
      const { status, stdout, stderr } = spawnSync(command, args, { cwd: folder, encoding: 'utf8', timeout: minute });
      return status === 0 && stdout !== '' ? [] : [`${name}: ${basename(file)} --help: ${stderr}`];
    });
  });
