import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

it('the README names every export', async () => {
  const { default: _, ...names } = (await import('@walstack/codec')) as Record<string, unknown>;
  for (const name of Object.keys(names)) expect(readme).toContain(`\`${name}`);
});
