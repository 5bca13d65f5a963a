import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** What tools make: nobody's source. */
const notSource = new Set(['node_modules', 'dist', '.git', '.turbo', '.reports']);

/**
 * Every file under a folder that somebody wrote, as sorted paths relative to it, with forward slashes.
 *
 * @param {string} folder
 * @returns {string[]}
 */
export const writtenFiles = (folder) =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => !notSource.has(entry.name))
    .flatMap((entry) =>
      entry.isDirectory()
        ? writtenFiles(join(folder, entry.name)).map((file) => `${entry.name}/${file}`)
        : [entry.name],
    )
    .sort();

/** @param {string} file */
export const isCode = (file) => /\.[cm]?[jt]s$/.test(file);
