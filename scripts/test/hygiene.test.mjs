import { expect, test } from 'vitest';
import { hygieneViolations } from '../lib/hygiene-rules.mjs';

// What is looked for is put together here, or this file itself would be caught.
const focused = ['test', 'only'].join('.');
const skipped = ['describe', 'skip', 'each'].join('.');
const unfinished = ['TO', 'DO'].join('');
const home = ['', 'home', 'somebody', 'log'].join('/');

/** @type {[file: string, line: string][]} */
const caught = [
  ['packages/wal/test/wal.test.ts', `${focused}('one', () => {});`],
  ['packages/wal/test/wal.test.ts', `${skipped}([1])('%i', () => {});`],
  ['packages/wal/src/wal.ts', `// ${unfinished}: later`],
  ['docs/format.md', `Open ${home} and look.`],
  ['pnpm-lock.yaml', `    resolution: {integrity: sha512-0, ${['tarball', ' a'].join(':')}}`],
];

test.each(caught)('caught in %s: %s', (file, line) => {
  expect(hygieneViolations(file, `first\n${line}\n`)).toEqual([expect.stringContaining(`${file}:2 `)]);
});

test('what only looks like it passes', () => {
  expect(hygieneViolations('packages/wal/test/wal.test.ts', "test.skipIf(isRoot)('one', () => {});")).toEqual([]);
  expect(hygieneViolations('packages/wal/src/wal.ts', "if (log.only) mkdtemp('XXXXXX');")).toEqual([]);
  expect(hygieneViolations('docs/guide.md', `See docs${home}, and ${unfinished}.`)).toEqual([]);
});
