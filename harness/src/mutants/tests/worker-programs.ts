import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { textIn } from '../overlay.js';
import { workerWith } from '../patched-bundle.js';

/** How a source names the program of a worker thread that it starts. */
const PROGRAM = /new URL\('(\.\/[\w-]+)\.js', import\.meta\.url\)/g;

/**
 * The text of a source in an overlay, and in it the programs of worker threads as one file each, with the changes of the
 * overlay: a worker thread runs no TypeScript.
 *
 * @param file - from the root
 * @returns `undefined` when it is the same as without the overlay
 */
export async function textWith(root: string, overlay: string, file: string): Promise<string | undefined> {
  const changed = textIn(overlay, file);
  const text = changed ?? readFileSync(join(root, file), 'utf8');
  const programs = new Set([...text.matchAll(PROGRAM)].map((match) => join(dirname(file), `${match[1]}.ts`)));
  const urls = new Map<string, string>();
  for (const program of programs) {
    if (!existsSync(join(root, program))) continue;
    const outfile = join(`${overlay}-workers`, String(process.pid), `${basename(program, '.ts')}.mjs`);
    await workerWith(root, program, outfile, overlay);
    urls.set(program, pathToFileURL(outfile).href);
  }
  if (urls.size === 0) return changed;
  return text.replaceAll(PROGRAM, (found, name: string) => {
    const url = urls.get(join(dirname(file), `${name}.ts`));
    return url === undefined ? found : `new URL(${JSON.stringify(url)})`;
  });
}
