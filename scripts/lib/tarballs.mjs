import { basename, join } from 'node:path';
import { repositoryRoot } from './workspace.mjs';

/** Where `npm test` packs its packages and leaves its reports; nothing in it is kept in git. */
export const reportsFolder = join(repositoryRoot, '.reports');

/** What is packed for the checks, and what for a release, apart: the former may be without binaries. */
export const tarballFolders = {
  checks: join(reportsFolder, 'packages'),
  release: join(reportsFolder, 'release'),
};

/** @param {import('./workspace.mjs').Member} member @param {keyof typeof tarballFolders} [purpose] */
export const tarballOf = (member, purpose = 'checks') =>
  join(tarballFolders[purpose], `${basename(member.folder)}.tgz`);
