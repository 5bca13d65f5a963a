import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
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

/** @param {string} root @returns {Stamp | undefined} */
const readStamp = (root) => {
  try {
    return JSON.parse(readFileSync(stampFile(root), 'utf8'));
  } catch {
    // There is none, or half of one: then the install is done again.
    return undefined;
  }
};

/**
 * Whether what an install left behind is still what an install would make.
 *
 * @param {string} root
 * @param {Stamp} stamp
 * @param {string} fingerprint
 */
const stillHolds = (root, stamp, fingerprint) =>
  stamp.fingerprint === fingerprint &&
  hasPnpm(stamp.pnpmFolder) &&
  workspaceMembers(root).every((member) => isLinked({ root, ...member }));

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
  // npm may print notices before and after the path.
  const folders = output.split('\n').flatMap((line) => line.split(delimiter));
  return { output, pnpmFolder: ok ? folders.find(hasPnpm) : undefined };
};

/**
 * An environment in which pnpm and the tools of the workspace are found by their names, and run on the Node that runs
 * this.
 *
 * @param {string} root
 * @param {string} pnpmFolder
 * @returns {NodeJS.ProcessEnv}
 */
const environmentWith = (root, pnpmFolder) => ({
  ...process.env,
  PATH: [join(root, 'node_modules', '.bin'), pnpmFolder, dirname(process.execPath), process.env['PATH']].join(
    delimiter,
  ),
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
  const stamp = readStamp(root);
  if (stamp !== undefined && stillHolds(root, stamp, fingerprint)) {
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
