import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { changesOf, type Defect, withDefect } from './defect.js';

/** A folder with changed sources, at their paths from the root of the repository: they are read in the place of the others. */
export function writeOverlay(folder: string, texts: ReadonlyMap<string, string>): string {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const [file, text] of texts) {
    const path = join(folder, file);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
  return folder;
}

/** The sources of a defect, with the defect in them. */
export function overlayWith(root: string, folder: string, defect: Defect): string {
  const files = new Set(changesOf(defect).map(({ file }) => file));
  const texts = [...files].map((file): [string, string] => [
    file,
    withDefect(defect, file, readFileSync(join(root, file), 'utf8')),
  ]);
  return writeOverlay(folder, new Map(texts));
}

/** The text of a source in an overlay; `undefined` when it is not in there. */
export function textIn(overlay: string | undefined, file: string): string | undefined {
  if (overlay === undefined || file.startsWith('..')) return undefined;
  try {
    return readFileSync(join(overlay, file), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** All files of an overlay. */
export const filesIn = (overlay: string): readonly string[] =>
  readdirSync(overlay, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(overlay.length + 1));
