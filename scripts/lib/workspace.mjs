import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * @typedef {object} Manifest the parts of a package.json that the scripts read
 * @property {string} name
 * @property {string} version
 * @property {boolean} [private]
 * @property {string} [packageManager]
 * @property {string | Record<string, unknown>} [exports]
 * @property {string | Record<string, string>} [bin]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [devDependencies]
 * @property {Record<string, string>} [peerDependencies]
 * @property {Record<string, string>} [optionalDependencies]
 *
 * @typedef {object} Member one package of the workspace
 * @property {string} folder relative to the root, with forward slashes
 * @property {Manifest} manifest
 */

export const repositoryRoot = fileURLToPath(new URL('../..', import.meta.url));

/** @param {string} folder @returns {Manifest} */
export const readManifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/**
 * The patterns under `packages:` of pnpm-workspace.yaml. Only the two forms in use are understood, a folder and
 * `folder/*`; reading them needs no YAML parser, which is not there before the install.
 *
 * @param {string} root
 */
const workspacePatterns = (root) => {
  const lines = readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8').split(/\r?\n/);
  const start = lines.indexOf('packages:') + 1;
  const end = lines.findIndex((line, index) => index >= start && !line.startsWith('  - '));
  return lines.slice(start, end === -1 ? undefined : end).map((line) => line.slice('  - '.length));
};

/** @param {string} root @param {string} pattern */
const foldersOf = (root, pattern) => {
  if (basename(pattern) !== '*') {
    return [pattern];
  }
  const parent = dirname(pattern);
  if (!existsSync(join(root, parent))) {
    return [];
  }
  const names = readdirSync(join(root, parent)).sort();
  return names.map((name) => `${parent}/${name}`);
};

/** Every package of the workspace but the root. @param {string} root @returns {Member[]} */
export const workspaceMembers = (root) =>
  workspacePatterns(root)
    .flatMap((pattern) => foldersOf(root, pattern))
    .filter((folder) => existsSync(join(root, folder, 'package.json')))
    .map((folder) => ({ folder, manifest: readManifest(join(root, folder)) }));

/** Those that are published. @param {string} root */
export const publishedMembers = (root) => workspaceMembers(root).filter((member) => member.manifest.private !== true);
