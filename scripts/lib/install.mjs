import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { run } from './run.mjs';
import { readManifest, workspaceMembers } from './workspace.mjs';

/** @typedef {{ fingerprint: string, pnpmFolder: string }} Stamp what an install that went through leaves behind */

/** @param {string} root */
const stampFile = (root) => join(root, 'node_modules', '.walstack-install.json');

/** Changes with whatever an install depends on. @param {string} root */
const fingerprintOf = (root) => {
  const folders = ['.', ...workspaceMembers(root).map((member) => member.folder)];
  const manifests = folders.map((folder) => `${folder}/package.json`);
  const hash = createHash('sha256').update(`${process.platform} ${process.arch}`);
  for (const file of ['pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc', ...manifests]) {
    const content = readFileSync(join(root, file));
    hash.update(`\n${file} ${content.length}\n`).update(content);
  }
  return hash.digest('hex');
};

/** @param {string} folder */
const hasPnpm = (folder) => ['pnpm', 'pnpm.cmd'].some((name) => existsSync(join(folder, name)));

/** @param {import('./workspace.mjs').Member & { root: string }} member */
const isLinked = ({ root, folder, manifest }) =>
  Object.keys(manifest.dependencies ?? {}).length === 0 || existsSync(join(root, folder, 'node_modules'));

/** The stamp, where it still holds. @param {string} root @param {string} fingerprint @returns {Stamp | undefined} */
const readStamp = (root, fingerprint) => {
  if (!existsSync(stampFile(root))) {
    return undefined;
  }
  const stamp = JSON.parse(readFileSync(stampFile(root), 'utf8'));
  const holds =
    stamp.fingerprint === fingerprint &&
    hasPnpm(stamp.pnpmFolder) &&
    workspaceMembers(root).every((member) => isLinked({ root, ...member }));
  return holds ? stamp : undefined;
};

/**
 * Has npx fetch the pnpm that package.json names, and finds the folder it was put in: turbo and publint look for a
 * `pnpm` on the PATH, so a way of starting it would not do.
 *
 * @param {string} root
 */
const fetchPnpm = async (root) => {
  const { packageManager } = readManifest(root);
  const args = ['--yes', `--package=${packageManager}`, '--', 'node', '-p', 'process.env.PATH'];
  const { ok, output } = await run('npx', args, { cwd: root });
  const path = output.trim().split('\n').at(-1) ?? '';
  return { output, pnpmFolder: ok ? path.split(delimiter).find(hasPnpm) : undefined };
};

/**
 * An environment in which pnpm and the tools of the workspace are found by their names.
 *
 * @param {string} root
 * @param {string} pnpmFolder
 * @returns {NodeJS.ProcessEnv}
 */
const environmentWith = (root, pnpmFolder) => ({
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), pnpmFolder, process.env['PATH']].join(delimiter),
  TURBO_TELEMETRY_DISABLED: '1',
  TURBO_NO_UPDATE_NOTIFIER: '1',
});

/**
 * Installs what the lock file says, unless nothing has changed since the last time.
 *
 * @param {string} root
 * @returns {Promise<import('./steps.mjs').Outcome & { environment: NodeJS.ProcessEnv }>}
 */
export const install = async (root) => {
  const fingerprint = fingerprintOf(root);
  const stamp = readStamp(root, fingerprint);
  if (stamp !== undefined) {
    return { ok: true, note: 'nothing changed', environment: environmentWith(root, stamp.pnpmFolder) };
  }
  const { output, pnpmFolder } = await fetchPnpm(root);
  if (pnpmFolder === undefined) {
    return { ok: false, output, environment: process.env };
  }
  const environment = environmentWith(root, pnpmFolder);
  rmSync(stampFile(root), { force: true });
  // Without a terminal to ask in, pnpm would rather stop than clear a node_modules that another tool has made.
  const args = ['install', '--frozen-lockfile', '--config.confirm-modules-purge=false'];
  const installed = await run('pnpm', args, { cwd: root, env: environment });
  if (installed.ok) {
    writeFileSync(stampFile(root), `${JSON.stringify({ fingerprint, pnpmFolder })}\n`);
  }
  return { ...installed, environment };
};
