import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The folder of the package. */
export const packageFolder = resolve(import.meta.dirname, '..', '..');

/**
 * The sources of the addon. binding.gyp does not lie beside package.json: there, an install would take it for something
 * to be built at once, and fail for lack of a compiler.
 */
export const addonFolder = join(packageFolder, 'addon');

/** A hash of the sources, which a binary that was made from them keeps beside it. */
export const hashOfSources = () => {
  const hash = createHash('sha256');
  for (const file of readdirSync(addonFolder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    if (file.isFile()) hash.update(`${file.name}\n`).update(readFileSync(join(addonFolder, file.name)));
  }
  return hash.digest('hex');
};
