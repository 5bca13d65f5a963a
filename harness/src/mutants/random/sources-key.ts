import { createHash, type Hash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FOLDERS = ['packages', 'harness/src', 'harness/test-kit'];

/** What no source is in. */
const LEFT_OUT = new Set(['node_modules', 'dist', 'build']);

const SOURCE = /\.(ts|mjs|c|cc|h)$/;

/** Stands for all sources and tests, and for what else an outcome depends on: when it is another one, the outcome may be. */
export function sourcesKey(root: string, others: unknown): string {
  const hash = createHash('sha256').update(JSON.stringify(others));
  for (const folder of FOLDERS) update(hash, root, folder);
  return hash.digest('hex');
}

function update(hash: Hash, root: string, folder: string): void {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      if (!LEFT_OUT.has(entry.name)) update(hash, root, path);
    } else if (SOURCE.test(entry.name)) hash.update(path).update(readFileSync(join(root, path)));
  }
}
