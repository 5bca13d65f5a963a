import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Wal, type WalOptions } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from './support/directories.js';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

const OPTIONS: Record<keyof WalOptions, true> = {
  flushDelayMs: true,
  flushBytes: true,
  create: true,
  io: true,
  segmentBytes: true,
  blockBytes: true,
  padGroups: true,
  maxInFlight: true,
  directIo: true,
  preallocate: true,
  recycleSegments: true,
  maxPayloadBytes: true,
  maxPendingBytes: true,
  markAfterMs: true,
  firstLsn: true,
  onFailure: true,
  now: true,
  setTimer: true,
  randomBytes: true,
};

describe('the README', () => {
  test('shows what its example prints', () => {
    const [, code, output] = /```js\n(.*?)```\s+It prints\s+```text\n(.*?)```/s.exec(readme) ?? [];
    const cwd = fileURLToPath(new URL('..', import.meta.url));
    const env = { ...process.env, TMPDIR: temporaryDirectory() };
    const options = { cwd, env, input: code ?? '', encoding: 'utf8' } as const;
    expect(execFileSync(process.execPath, ['--input-type=module'], options)).toBe(output);
  });

  test.each(Object.keys(OPTIONS))('has a row for the option %s', (option) => {
    expect(readme).toContain(`\n| \`${option}\` |`);
  });

  test('names every call and property', () => {
    const names = Object.getOwnPropertyNames(Wal.prototype).filter((name) => name !== 'constructor');
    for (const name of names) expect(readme).toMatch(new RegExp(`\`${name}[\`(]`));
  });
});
