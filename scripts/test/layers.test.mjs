import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { violationsOfLayers } from '../lib/layer-rules.mjs';
import { manifestOf, withWorkspace } from './workspace-fixture.mjs';

/** @type {import('../lib/layer-rules.mjs').Rules} */
const rules = { mayImport: { codec: [], segmented: ['codec'] }, outsideDependencies: {} };

/**
 * @param {import('./workspace-fixture.mjs').Files} changes
 * @param {import('../lib/layer-rules.mjs').Rules} [withRules]
 */
const violationsWith = (changes, withRules = rules) =>
  withWorkspace(changes, (root) => violationsOfLayers(root, withRules));

test('a workspace that keeps the rules has no violations', () => {
  expect(violationsWith({})).toEqual([]);
});

const testKit = '../../../harness/test-kit/time.js';

/** The test kit, and a file that imports it. @param {string} user @param {string} [specifier] */
const withTestKit = (user, specifier = testKit) => ({
  'pnpm-workspace.yaml': 'packages:\n  - packages/*\n  - examples/*\n  - harness\n',
  'harness/package.json': manifestOf('@walstack/harness'),
  'harness/test-kit/time.ts': "import 'vitest';\n",
  [user]: `import '${specifier}';\n`,
});

test.each([
  ['packages/codec/test/time.test.ts', testKit],
  ['harness/test/time.test.ts', '../test-kit/time.js'],
])('the test kit may be imported by %s', (user, specifier) => {
  expect(violationsWith(withTestKit(user, specifier))).toEqual([]);
});

/** @type {[rule: string, changes: import('./workspace-fixture.mjs').Files, violations: string[]][]} */
const cases = [
  [
    'a package imports one above it',
    {
      'packages/codec/package.json': manifestOf('@walstack/codec', {
        dependencies: { '@walstack/segmented': 'workspace:*' },
      }),
      'packages/codec/src/frame.ts': "import type { log } from '@walstack/segmented';\n",
    },
    ['packages/codec/src/frame.ts:1 imports @walstack/segmented: codec may not import segmented'],
  ],
  [
    'a test imports a package above its own',
    {
      'packages/codec/package.json': manifestOf('@walstack/codec', {
        devDependencies: { '@walstack/segmented': 'workspace:*' },
      }),
      'packages/codec/test/frame.test.ts': "\nimport '@walstack/segmented';\n",
    },
    ['packages/codec/test/frame.test.ts:2 imports @walstack/segmented: codec may not import segmented'],
  ],
  [
    "another package's dist is imported",
    { 'packages/segmented/src/index.ts': "import '@walstack/codec';\nimport '@walstack/codec/dist/index.js';\n" },
    ['packages/segmented/src/index.ts:2 imports @walstack/codec/dist/index.js, no entry point of @walstack/codec'],
  ],
  [
    "another package's source is imported from an example",
    { 'examples/first/src/main.ts': "export * from '@walstack/segmented/src/index.js';\n" },
    ['examples/first/src/main.ts:1 imports @walstack/segmented/src/index.js, no entry point of @walstack/segmented'],
  ],
  [
    'an example imports what is for this repository alone',
    {
      'packages/segmented/package.json': manifestOf('@walstack/segmented', {
        exports: { '.': './dist/index.js', './internal': './dist/internal.js' },
        dependencies: { '@walstack/codec': 'workspace:*' },
      }),
      'examples/first/src/main.ts': "import '@walstack/segmented/internal';\n",
    },
    ['examples/first/src/main.ts:1 imports @walstack/segmented/internal: examples import what users may'],
  ],
  [
    'a relative import leaves the package',
    { 'packages/segmented/src/index.ts': "import '@walstack/codec';\nimport '../../codec/src/index.js';\n" },
    ['packages/segmented/src/index.ts:2 imports ../../codec/src/index.js, which lies outside the package'],
  ],
  [
    'a relative import of a test leaves the package',
    { 'packages/codec/test/frame.test.ts': "const shared = require('../../segmented/test/shared.js');\n" },
    ['packages/codec/test/frame.test.ts:1 imports ../../segmented/test/shared.js, which lies outside the package'],
  ],
  [
    'source imports the test kit',
    withTestKit('packages/codec/src/time.ts'),
    ['packages/codec/src/time.ts:1 imports ../../../harness/test-kit/time.js, which lies outside the package'],
  ],
  [
    'source of the harness imports the test kit',
    withTestKit('harness/src/time.ts', '../test-kit/time.js'),
    ['harness/src/time.ts:1 imports ../test-kit/time.js, which belongs to the tests'],
  ],
  [
    'a test of an example imports the test kit',
    withTestKit('examples/first/test/time.test.ts'),
    ['examples/first/test/time.test.ts:1 imports ../../../harness/test-kit/time.js, which lies outside the package'],
  ],
  [
    'source imports from the tests',
    { 'packages/codec/src/frame.ts': "import '../test/frame.test.js';\n", 'packages/codec/test/frame.test.ts': '' },
    ['packages/codec/src/frame.ts:1 imports ../test/frame.test.js, which belongs to the tests'],
  ],
  [
    'source imports its own package by name',
    { 'packages/codec/src/frame.ts': "import '@walstack/codec';\n" },
    ["packages/codec/src/frame.ts:1 imports @walstack/codec: a package's own files are imported by their paths"],
  ],
  [
    'a workspace package is imported but not declared',
    { 'packages/segmented/package.json': manifestOf('@walstack/segmented') },
    ['packages/segmented/src/index.ts:1 imports @walstack/codec, which package.json does not declare in dependencies'],
  ],
  [
    'a workspace package is declared only for development',
    {
      'packages/segmented/package.json': manifestOf('@walstack/segmented', {
        devDependencies: { '@walstack/codec': 'workspace:*' },
      }),
    },
    ['packages/segmented/src/index.ts:1 imports @walstack/codec, which package.json does not declare in dependencies'],
  ],
  [
    'a package that does not exist is imported',
    { 'packages/codec/test/frame.test.ts': "import '@walstack/elsewhere';\n" },
    [
      'packages/codec/test/frame.test.ts:1 imports @walstack/elsewhere, which package.json does not declare in dependencies',
    ],
  ],
  [
    'a workspace package is declared but not imported',
    { 'packages/segmented/src/index.ts': '// A comment is not an import: import "@walstack/codec";\n' },
    ['packages/segmented declares @walstack/codec and does not import it'],
  ],
  [
    'files import each other',
    {
      'packages/codec/src/frame.ts': "import type { a } from './record.js';\n",
      'packages/codec/src/record.ts': "export { b } from './mark.js';\n",
      'packages/codec/src/mark.ts': "import { c } from './frame.js';\n",
    },
    ['packages/codec has files that import each other: src/frame.ts -> src/record.ts -> src/mark.ts -> src/frame.ts'],
  ],
  [
    'a built-in is imported without node:',
    { 'packages/codec/src/frame.ts': "import { readFile } from 'fs/promises';\n" },
    ['packages/codec/src/frame.ts:1 imports fs/promises without node:'],
  ],
  [
    'a package depends on one from outside',
    {
      'packages/codec/package.json': manifestOf('@walstack/codec', { dependencies: { outside: '1.0.0' } }),
      'packages/codec/src/frame.ts': "import 'outside';\n",
    },
    ['packages/codec depends on outside from outside the workspace, which the table of reasons does not list'],
  ],
  [
    'source imports what only the tests have',
    { 'packages/codec/src/frame.ts': "type Test = import('vitest').Test;\n" },
    ['packages/codec/src/frame.ts:1 imports vitest, which package.json does not declare in dependencies'],
  ],
  [
    'a package has no place in the table',
    { 'packages/extra/package.json': manifestOf('@walstack/extra') },
    ['packages/extra has no place in the table of layers'],
  ],
  [
    'a package is not named for its folder',
    { 'packages/codec/package.json': manifestOf('codec'), 'packages/codec/test/frame.test.ts': '' },
    ['packages/codec is named codec, not @walstack/codec as its folder'],
  ],
];

describe('caught:', () => {
  test.each(cases)('%s', (_rule, changes, violations) => {
    expect(violationsWith(changes)).toEqual(violations);
  });

  test('the table itself points up', () => {
    expect(violationsWith({}, { ...rules, mayImport: { codec: ['segmented'], segmented: ['codec'] } })).toEqual([
      'the table of layers lets codec import segmented, which does not lie below it',
    ]);
  });
});

test('a dependency from outside passes once the table gives its reason', () => {
  const changes = {
    'packages/codec/package.json': manifestOf('@walstack/codec', { dependencies: { outside: '1.0.0' } }),
    'packages/codec/src/frame.ts': "import 'outside/part';\n",
  };
  expect(violationsWith(changes, { ...rules, outsideDependencies: { outside: 'there is no other way' } })).toEqual([]);
});

describe('check-layers.mjs', () => {
  const script = fileURLToPath(new URL('../check-layers.mjs', import.meta.url));

  /** @param {string} root */
  const check = (root) => spawnSync(process.execPath, [script, root], { encoding: 'utf8' });

  test('passes a good workspace', () => {
    expect(withWorkspace({}, check)).toMatchObject({ status: 0, stdout: '', stderr: '' });
  });

  test('prints what is wrong and fails', () => {
    const changes = { 'packages/codec/src/frame.ts': "import 'fs';\n" };
    expect(withWorkspace(changes, check)).toMatchObject({
      status: 1,
      stdout: 'packages/codec/src/frame.ts:1 imports fs without node:\n',
    });
  });
});
