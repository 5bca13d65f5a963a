import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, realpathSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tarballOf } from './tarballs.mjs';
import { publishedMembers, repositoryRoot } from './workspace.mjs';

/** @typedef {import('./workspace.mjs').Member} Member */

/** @param {Member} member @param {string} folder */
const unpack = (member, folder) => {
  mkdirSync(folder, { recursive: true });
  const { status, stderr } = spawnSync('tar', ['-xzf', tarballOf(member), '-C', folder, '--strip-components=1']);
  return status === 0 ? [] : [`${tarballOf(member)} can't be unpacked: ${stderr}`];
};

/**
 * What packages depend on from outside lies beside them, too; and so do peers, which whoever uses an entry point that
 * needs them has installed.
 *
 * @param {Member} member
 * @param {string} modules
 */
const linkOutsideDependencies = (member, modules) => {
  for (const name of Object.keys({ ...member.manifest.peerDependencies, ...member.manifest.dependencies })) {
    const installed = join(repositoryRoot, member.folder, 'node_modules', name);
    if (!existsSync(join(modules, name))) {
      mkdirSync(dirname(join(modules, name)), { recursive: true });
      symlinkSync(realpathSync(installed), join(modules, name), 'junction');
    }
  }
};

/**
 * Lays the packages as they were packed side by side, as an install would.
 *
 * @param {string} modules a folder `node_modules` outside the repository
 */
export const unpackPackages = (modules) => {
  const packages = publishedMembers(repositoryRoot).map((member) => ({
    member,
    folder: join(modules, member.manifest.name),
  }));
  const violations = packages.flatMap(({ member, folder }) => unpack(member, folder));
  for (const { member } of packages) linkOutsideDependencies(member, modules);
  return { packages, violations };
};
