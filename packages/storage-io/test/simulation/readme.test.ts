import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8');
const section = readme.slice(readme.indexOf('## A simulated disk'));

test('the README shows what its example of a simulation prints', () => {
  const [, code, output] = /```js\n(.*?)```\s+It prints\s+```text\n(.*?)```/s.exec(section) ?? [];
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const printed = execFileSync(process.execPath, ['--input-type=module'], { cwd, input: code ?? '', encoding: 'utf8' });
  expect(printed).toBe(output);
});
