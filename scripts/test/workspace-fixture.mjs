import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** @param {string} name @param {object} [rest] */
export const manifestOf = (name, rest = {}) =>
  JSON.stringify({ name, version: '0.0.0', exports: { '.': { default: './dist/index.js' } }, ...rest });

/** @typedef {Record<string, string>} Files the text of each file, by its path */

/**
 * A small workspace in which everything keeps the rules: two packages, one above the other, and an example.
 *
 * @type {Files}
 */
const goodWorkspace = {
  'pnpm-workspace.yaml': 'packages:\n  - packages/*\n  - examples/*\n\nonlyBuiltDependencies:\n  - esbuild\n',
  'packages/codec/package.json': manifestOf('@walstack/codec'),
  'packages/codec/src/index.ts': "export { frame } from './frame.js';\n",
  'packages/codec/src/frame.ts': "import { Buffer } from 'node:buffer';\nexport const frame = Buffer.alloc(1);\n",
  'packages/codec/test/frame.test.ts': "import 'vitest';\nimport '../src/frame.js';\nimport '@walstack/codec';\n",
  'packages/codec/tsup.config.ts': "import '../../tsup.base.js';\n",
  'packages/segmented/package.json': manifestOf('@walstack/segmented', {
    dependencies: { '@walstack/codec': 'workspace:*' },
  }),
  'packages/segmented/src/index.ts': "export type { frame } from '@walstack/codec';\n",
  'examples/first/package.json': manifestOf('first', { dependencies: { '@walstack/segmented': 'workspace:*' } }),
  'examples/first/src/main.ts': "await import('@walstack/segmented');\n",
};

/**
 * Writes a workspace, the good one with some files changed or added, and hands its folder over until `use` is done.
 *
 * @template T
 * @param {Files} changes
 * @param {(root: string) => T} use
 */
export const withWorkspace = (changes, use) => {
  const root = mkdtempSync(join(tmpdir(), 'walstack-layers-'));
  try {
    for (const [path, text] of Object.entries({ ...goodWorkspace, ...changes })) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    return use(root);
  } finally {
    rmSync(root, { recursive: true });
  }
};
