import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeOverlay } from '../overlay.js';
import type { Programs } from '../parts.js';
import { programsWith } from '../patched-bundle.js';
import type { Place } from '../place.js';
import type { RandomDefect } from './draw.js';
import { withChanges } from './marks.js';

/** The programs of the checks with all changes in them: `WALSTACK_CHANGE` says which one is made. */
export interface Prepared extends Programs {
  /** The sources, for tests. */
  readonly overlay: string;
}

/** Puts all changes into the sources, each with its number in the list, and makes the programs of them. */
export async function prepare(defects: readonly RandomDefect[], { root, folder }: Place): Promise<Prepared> {
  const runtime = join(root, 'harness/src/mutants/random/changed.ts');
  const numbered = defects.map(({ file, mutation }, number) => ({ file, number, mutation }));
  const texts = [...new Set(numbered.map(({ file }) => file))].map((file): [string, string] => [
    file,
    withChanges(
      readFileSync(join(root, file), 'utf8'),
      numbered.filter((change) => change.file === file),
      runtime,
    ),
  ]);
  const overlay = writeOverlay(join(folder, 'sources'), new Map(texts));
  const { programs } = await programsWith(root, folder, overlay);
  return { ...programs, overlay };
}
