import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const entry = fileURLToPath(new URL('../dist/index.js', import.meta.url));
const program = `import { available, unavailableReason } from ${JSON.stringify(entry)};
console.log(JSON.stringify({ available, unavailableReason }));`;

function loadWith(environment: Record<string, string>): { available: boolean; unavailableReason?: string } {
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    env: { ...process.env, ...environment },
    encoding: 'utf8',
  });
  return JSON.parse(stdout);
}

describe('loading the binary', () => {
  test('WALSTACK_NATIVE=0 turns it off, and the reason says so', () => {
    const { available, unavailableReason } = loadWith({ WALSTACK_NATIVE: '0' });
    expect(available).toBe(false);
    expect(unavailableReason).toContain('WALSTACK_NATIVE=0');
  });

  test('it is there, or one sentence says why not', () => {
    const { available, unavailableReason } = loadWith({ WALSTACK_NATIVE: '' });
    if (available) expect(unavailableReason).toBeUndefined();
    else expect(unavailableReason).toMatch(/^The native addon .*/);
  });
});
