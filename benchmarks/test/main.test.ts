import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walstack-benchmarks-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const bench = (...args: readonly string[]) =>
  spawnSync(process.execPath, [fileURLToPath(new URL('../dist/main.js', import.meta.url)), ...args], {
    cwd: folder,
    env: { ...process.env, INIT_CWD: folder },
    encoding: 'utf8',
  });

test('measures what was named, prints it and writes it down', () => {
  const { status, stdout, stderr } = bench('replay', '--quick', '--no-peers', '--json', 'rows.json');
  expect([status, stderr]).toEqual([0, '']);
  const rows = JSON.parse(readFileSync(join(folder, 'rows.json'), 'utf8')) as Record<string, unknown>[];
  const measured = rows.map((row) => `${row['bench']} ${row['case']} ${row['subject']}`);
  expect(measured).toEqual(
    expect.arrayContaining([
      'replay views walstack/thread-pool',
      'replay views walstack/sync-fs',
      'replay views fs',
      'replay open-after-crash walstack/thread-pool',
      'replay open-after-crash walstack/sync-fs',
    ]),
  );
  for (const row of rows) {
    expect(row).toEqual({
      bench: expect.any(String),
      case: expect.any(String),
      subject: expect.any(String),
      value: expect.any(Number),
      unit: row['case'] === 'open-after-crash' ? 'bytes/s' : expect.stringMatching(/^(records\/s|bytes)$/),
      p50Us: null,
      p99Us: null,
      p999Us: null,
      slow: null,
      rounds: 3,
      spread: expect.any(Number),
    });
    expect(stdout).toContain((row['value'] as number).toLocaleString('en-US'));
  }
  const about: unknown = JSON.parse(readFileSync(join(folder, 'rows.about.json'), 'utf8'));
  expect(about).toEqual({
    date: expect.stringMatching(/^\d{4}-\d\d-\d\d$/),
    machine: expect.stringContaining(`Node.js ${process.versions.node}`),
    quick: true,
    subjects: expect.objectContaining({ 'walstack/thread-pool': expect.any(String), fs: expect.any(String) }),
  });
  expect(readdirSync(join(folder, 'data'))).toEqual([]);
});

test.each([
  ['a bench that does not exist', ['apend'], 'there is no bench "apend"'],
  ['an unknown option', ['--fast'], '--fast'],
  ['a number of rounds that is none', ['--rounds', '0'], '--rounds must be a whole number'],
])('%s is refused with exit code 2', (_what, args, message) => {
  const { status, stdout, stderr } = bench(...args);
  expect([status, stdout]).toEqual([2, '']);
  expect(stderr).toContain(message);
  expect(stderr).toContain('pnpm bench durable');
});
