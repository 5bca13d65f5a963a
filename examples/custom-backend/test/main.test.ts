import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

test('prints what the README says: neither disk is missed', () => {
  const [, output] = /```text\n(.*?)```/s.exec(readme) ?? [];
  expect(execFileSync(process.execPath, [program], { encoding: 'utf8' })).toBe(output);
});
