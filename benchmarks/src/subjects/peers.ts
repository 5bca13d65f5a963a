import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { inPackage } from '../machine/folders.js';
import { type BetterSqlite3, betterSqlite3 } from './better-sqlite3.js';
import { type ClassicLevel, classicLevel } from './classic-level.js';
import { type Lmdb, lmdb } from './lmdb.js';
import type { Subject } from './subject.js';

/** The package that the others are installed in; not of the workspace, so that nothing but this installs them. */
const FOLDER = inPackage('peers');

/** How each of them becomes a subject. What a package exports is known from its documentation, and not checked here. */
const PEERS: Readonly<Record<string, (exported: unknown, version: string) => Subject>> = {
  'better-sqlite3': (exported, version) => betterSqlite3(exported as BetterSqlite3, version),
  lmdb: (exported, version) => lmdb(exported as Lmdb, version),
  'classic-level': (exported, version) =>
    classicLevel((exported as { readonly ClassicLevel: ClassicLevel }).ClassicLevel, version),
};

/** Databases that are used as logs. @returns those that are installed and load, and a sentence for each that is not */
export function peerSubjects(): { subjects: Subject[]; leftOut: string[] } {
  const require = createRequire(join(FOLDER, 'package.json'));
  const subjects: Subject[] = [];
  const leftOut: string[] = [];
  for (const [name, subjectOf] of Object.entries(PEERS)) {
    try {
      const exported: unknown = require(name);
      subjects.push(subjectOf(exported, versionOf(name)));
    } catch (error) {
      const [reason] = (error as Error).message.split('\n', 1);
      leftOut.push(`${name} is left out (remove ${FOLDER}/node_modules to install it again): ${reason}`);
    }
  }
  return { subjects, leftOut };
}

/** Installs the databases when that was not done yet, or when they are to be others than they are. */
export function installPeers(say: (sentence: string) => void): void {
  if (isInstalled()) return;
  say('Installing better-sqlite3, lmdb and classic-level in benchmarks/peers; compiling takes some minutes, once.');
  const { packageManager } = readJson(join(FOLDER, '../../package.json')) as { readonly packageManager: string };
  const args = ['--yes', packageManager, 'install', '--frozen-lockfile', '--config.confirm-modules-purge=false'];
  const { status, error, stdout, stderr } = spawnSync('npx', args, {
    cwd: FOLDER,
    // Headers beside the running node need not be fetched.
    env: { ...process.env, ...headers() },
    encoding: 'utf8',
    shell: process.platform === 'win32',
  });
  if (status !== 0) {
    const lines = error?.message ?? `${stdout}\n${stderr}`;
    say(`That failed; what is not there is left out.\n${lines.trim().split('\n').slice(-15).join('\n')}`);
  }
}

/** Whether what was installed last is what the lock file says. */
function isInstalled(): boolean {
  const installed = join(FOLDER, 'node_modules/.pnpm/lock.yaml');
  return existsSync(installed) && readFileSync(installed).equals(readFileSync(join(FOLDER, 'pnpm-lock.yaml')));
}

function headers(): NodeJS.ProcessEnv {
  const prefix = resolve(process.execPath, '../..');
  return existsSync(join(prefix, 'include/node/node.h')) ? { npm_config_nodedir: prefix } : {};
}

const versionOf = (name: string): string =>
  (readJson(join(FOLDER, 'node_modules', name, 'package.json')) as { readonly version: string }).version;

const readJson = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
