import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { apiOf } from '../lib/api-page.mjs';
import { repositoryRoot } from '../lib/workspace.mjs';
import { manifestOf, withWorkspace } from './workspace-fixture.mjs';

const { page, undocumented, hidden } = apiOf(repositoryRoot);

test('docs/api.md is what the doc comments say; node scripts/make-api-page.mjs makes it anew', () => {
  expect(readFileSync(join(repositoryRoot, 'docs/api.md'), 'utf8')).toBe(page);
});

test('every public name has a doc comment', () => {
  expect(undocumented).toEqual([]);
});

test('no public constructor takes what is not public', () => {
  expect(hidden).toEqual([]);
});

/** The page of a workspace whose packages have these sources. @param {Record<string, string>} files */
const apiWith = (files) => {
  const shared = {
    'tsconfig.base.json': '{ "compilerOptions": { "module": "nodenext" } }',
    // An example is not published, and has no rows.
    'examples/first/package.json': manifestOf('first', { private: true }),
  };
  return withWorkspace({ ...shared, ...files }, apiOf);
};

test('a name has a row with its kind and its first sentence', () => {
  const { page: made, undocumented: without } = apiWith({
    'packages/codec/src/frame.ts': `
      /** A length, see {@link frame}; e.g. one | two. More of it. */
      export const length = 1;
      /**
       * Makes a frame
       * of bytes.
       *
       * Slowly.
       */
      export function frame(): void {}
      export type Bytes = string;
    `,
    'packages/codec/src/index.ts':
      "export { frame, length } from './frame.js';\nexport type { Bytes } from './frame.js';\n",
    'packages/segmented/src/index.ts': `
      export { length as size } from '@walstack/codec';
      /** All of it. */
      export * as steps from './steps.js';
    `,
    'packages/segmented/src/steps.ts': '/** One step. */\nexport class Step {}\n',
  });
  expect(made).toContain('| `frame` | function | Makes a frame of bytes |\n');
  expect(made).toContain('| `length` | constant | A length, see `frame`; e.g. one \\| two |\n');
  expect(made).toContain('| `size` | constant | A length, see `frame`; e.g. one \\| two |\n');
  expect(made).toContain('| `steps` | namespace | All of it |\n| `steps.Step` | class | One step |\n');
  expect(without).toEqual(['@walstack/codec Bytes']);
});

test('an entry point for the repository alone has no rows', () => {
  const { page: made, undocumented: without } = apiWith({
    'packages/codec/package.json': manifestOf('@walstack/codec', {
      exports: { '.': './dist/index.js', './internal': './dist/internal.js', './package.json': './package.json' },
    }),
    'packages/codec/src/index.ts': '/** A frame. */\nexport class Frame {}\n',
    'packages/codec/src/internal.ts': 'export const inner = 1;\n',
    'packages/segmented/src/index.ts': "export { Frame } from '@walstack/codec';\n",
  });
  expect(made).toContain('`Frame`');
  expect(made).not.toContain('inner');
  expect(without).toEqual([]);
});

test('a public constructor that takes what is not public is found', () => {
  const { hidden: found } = apiWith({
    'packages/codec/src/index.ts': `
      /** Public. */
      export interface Options {}
      interface Plan { readonly options: Options }
      /** Made by users. */
      export class Open<T> { constructor(options: Options, values: Map<string, T>) {} }
      /** Made by the package. */
      export class Closed { private constructor(plan: Plan) {} }
      /** Made by the package, and by users. */
      export class Leaking { constructor(plans: readonly Plan[]) {} }
    `,
    'packages/segmented/src/index.ts': "export { Open } from '@walstack/codec';\n",
  });
  expect(found).toEqual(['Leaking: Plan']);
});
