import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const cwd = fileURLToPath(new URL('..', import.meta.url));
const examples = [...readme.matchAll(/```js\n(.*?)```\s+It prints\s+```text\n(.*?)```/gs)].map(([, code, output]) => ({
  code,
  output,
}));

describe('the README', () => {
  it('has two examples', () => {
    expect(examples).toHaveLength(2);
  });

  it.each(examples)('shows what an example prints (%#)', ({ code, output }) => {
    const printed = execFileSync(process.execPath, ['--input-type=module'], { cwd, input: code, encoding: 'utf8' });
    expect(printed).toBe(output);
  });

  it('names every export', async () => {
    const { default: _, ...names } = (await import('@walstack/codec')) as Record<string, unknown>;
    for (const name of Object.keys(names)) expect(readme).toContain(`\`${name}`);
  });
});
