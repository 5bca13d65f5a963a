import { readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import process from 'node:process';
import { type Defect, withDefect } from './defect.js';
import { DEFECTS } from './defects/index.js';
import { SOURCES } from './sources.js';

/**
 * The tests of the packages, with all packages from source and the defect in them that `WALSTACK_DEFECT` names, or that
 * `WALSTACK_DEFECT_IN_FULL` is, as JSON.
 */
const root = resolve(import.meta.dirname, '../../..');
const inFull = process.env['WALSTACK_DEFECT_IN_FULL'];
const defect =
  inFull === undefined
    ? DEFECTS.find(({ name }) => name === process.env['WALSTACK_DEFECT'])
    : (JSON.parse(inFull) as Defect);
/** Only its tests, to see that they pass. */
const without = process.env['WALSTACK_WITHOUT_DEFECT'] === '1';
/** A copy of the package with the addon, which was compiled with the defect. */
const native = process.env['WALSTACK_DEFECT_NATIVE'];
const sources = native === undefined ? {} : { '@walstack/native': join(native, 'src/index.ts') };

/** A plain object: the harness depends on nothing but what it breaks. */
export default {
  root,
  // Longer names first: the name of a package begins the names of its other entry points.
  resolve: {
    alias: Object.entries({ ...SOURCES, ...sources })
      .sort(([a], [b]) => b.length - a.length)
      .map(([find, file]) => ({ find, replacement: resolve(root, file) })),
  },
  plugins: [
    {
      name: 'defect',
      enforce: 'pre',
      load(id: string) {
        if (defect === undefined || without || !id.endsWith('.ts')) return undefined;
        const text = readFileSync(id, 'utf8');
        const changed = withDefect(defect, relative(root, id), text);
        return changed === text ? undefined : changed;
      },
    },
  ],
  test: { pool: 'forks', testTimeout: 60_000, include: [defect?.test ?? 'packages/*/test/**/*.test.ts'] },
};
