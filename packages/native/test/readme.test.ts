import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { available, ringSupport } from '@walstack/native';
import { describe, expect, test } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const cwd = fileURLToPath(new URL('..', import.meta.url));
const examples = [...readme.matchAll(/```js\n((?:(?!```).)*)```\s+It prints\s+```text\n(.*?)```/gs)].map(
  ([, code, output]) => ({
    code,
    output,
  }),
);

describe('the README', () => {
  test('has examples', () => {
    expect(examples.length).toBeGreaterThan(0);
  });

  const canRun = examples.filter(({ code }) => ringSupport().available || !code?.includes('new Ring('));
  test.runIf(available).each(canRun)('shows what an example prints (%#)', ({ code, output }) => {
    const printed = execFileSync(process.execPath, ['--input-type=module'], { cwd, input: code, encoding: 'utf8' });
    expect(printed).toBe(output);
  });
});
