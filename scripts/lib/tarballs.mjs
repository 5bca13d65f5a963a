import { basename, join } from 'node:path';
import { repositoryRoot } from './workspace.mjs';

/** Where `npm test` packs its packages and leaves its reports; nothing in it is kept in git. */
export const reportsFolder = join(repositoryRoot, '.reports');

/** @param {import('./workspace.mjs').Member} member */
export const tarballOf = (member) => join(reportsFolder, 'packages', `${basename(member.folder)}.tgz`);
