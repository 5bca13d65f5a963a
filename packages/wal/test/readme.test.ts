import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

/** The names of all options: the builder has a method for each. */
const OPTIONS = Object.keys(Wal.builder('log')).filter((name) => name !== 'build');

/** A program in a page, and its output according to the page. */
interface Example {
  readonly name: string;
  readonly code: string;
  readonly output: string;
}

function examplesOf(page: string): Example[] {
  const found = [...page.matchAll(/```js\n((?:(?!```).)*)```\s+It prints\s+```text\n(.*?)```/gs)];
  return found.map(([, code = '', output = ''], index) => ({ name: `example ${index + 1}`, code, output }));
}

function run(code: string): string {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const env = { ...process.env, TMPDIR: temporaryDirectory() };
  return execFileSync(process.execPath, ['--input-type=module'], { cwd, env, input: code, encoding: 'utf8' });
}

describe.each(['observability', 'following'])('the page %s', (name) => {
  const page = readFileSync(new URL(`../../../docs/${name}.md`, import.meta.url), 'utf8');
  const examples = examplesOf(page);

  test('shows the output of every program', () => {
    expect(examples.length).toBeGreaterThan(0);
    expect(examples).toHaveLength(page.split('```js').length - 1);
  });

  test.each(examples)('shows what $name prints', ({ code, output }) => {
    expect(run(code)).toBe(output);
  });
});

test('the page on observability explains every figure of stats()', async () => {
  const page = readFileSync(new URL('../../../docs/observability.md', import.meta.url), 'utf8');
  await using wal = await Wal.open('/log', { io: 'memory' });
  for (const name of Object.keys(wal.stats())) expect(page).toContain(`\`${name}\``);
});

describe('the README', () => {
  test.each(examplesOf(readme))('shows what $name prints', ({ code, output }) => {
    expect(run(code)).toBe(output);
  });

  test.each(OPTIONS)('has a row for the option %s', (option) => {
    expect(readme).toContain(`\n| \`${option}\` |`);
  });

  test('names every call and property', () => {
    const names = Object.getOwnPropertyNames(Wal.prototype).filter((name) => name !== 'constructor');
    for (const name of names) expect(readme).toMatch(new RegExp(`\`${name}[\`(]`));
  });
});
