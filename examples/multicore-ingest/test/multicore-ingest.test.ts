import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ringSupport } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));

let folder: string;
let data: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walstack-multicore-test-'));
  data = join(folder, 'log');
});

afterEach(() => rmSync(folder, { recursive: true }));

function run(
  args: readonly string[],
  more: { input?: string; env?: NodeJS.ProcessEnv } = {},
): SpawnSyncReturns<string> {
  const { INIT_CWD: _, ...env } = process.env;
  return spawnSync(process.execPath, [program, ...args], {
    cwd: folder,
    env: { ...env, ...more.env },
    encoding: 'utf8',
    ...(more.input === undefined ? {} : { input: more.input }),
  });
}

function ingest(content: string, ...args: readonly string[]): SpawnSyncReturns<string> {
  writeFileSync(join(folder, 'input'), content, 'latin1');
  return run(['input', '--data', data, ...args]);
}

/** The rows of the closing table. */
function figuresOf(stdout: string): Record<string, string> {
  const rows = stdout.split('\n').map((line) => /^ {2}(\S+) {2,}(\S+)$/.exec(line));
  return Object.fromEntries(
    rows.filter((row) => row !== null).map(([, name, value]) => [name as string, value as string]),
  );
}

const LARGE = Array.from(
  { length: 20_000 },
  (_, index) => `key${index % 97} line ${index} ${'.'.repeat(index % 60)}\n`,
).join('');

test('kills itself in mid-stream, and every line that was acknowledged is there, once, in order', () => {
  const result = ingest(LARGE, '--cores', '3', '--kills', '2');
  expect([result.status, result.stderr]).toEqual([0, '']);
  expect(figuresOf(result.stdout)).toMatchObject({
    lines: '20,000',
    cores: '3',
    recovered: '20,000',
    lost: '0',
    wrong: '0',
  });
  const killed = [...result.stdout.matchAll(/run \d+: killed, .* recovered in one order, 0 cores with losses/g)];
  expect(figuresOf(result.stdout)['kills']).toBe(String(killed.length));
  expect(killed.length).toBeGreaterThan(0);
  expect(readdirSync(data).sort()).toEqual(['LOCK', 'core-0', 'core-1', 'core-2', 'manifest']);
  expect(result.stdout).toMatch(/core 0 .*\/s {3}core 1 .*\/s {3}core 2 .*\/s/);
});

test('- reads standard input', () => {
  const result = run(['-', '--data', data, '--cores', '2', '--kills', '0'], { input: LARGE });
  expect([result.status, result.stderr]).toEqual([0, '']);
  expect(figuresOf(result.stdout)).toMatchObject({ lines: '20,000', kills: '0', recovered: '20,000' });
});

test.each([
  ['nothing', '', '0'],
  ['one line without an end', 'alone', '1'],
  ['empty lines', '\n\n\n', '3'],
  [
    'binary bytes',
    Array.from({ length: 20_000 }, (_, index) => String.fromCharCode((index * index * 31) % 256)).join(''),
    undefined,
  ],
])('%s comes through', (_what, content, lines) => {
  const result = ingest(content, '--cores', '2', '--kills', '1');
  expect([result.status, result.stderr]).toEqual([0, '']);
  const figures = figuresOf(result.stdout);
  if (lines !== undefined) expect(figures['lines']).toBe(lines);
  expect(figures).toMatchObject({ recovered: figures['lines'], lost: '0', wrong: '0' });
});

test.each(['sync-fs', 'thread-pool', ...(ringSupport().available ? ['io-uring'] : [])])('on %s', (backend) => {
  writeFileSync(join(folder, 'input'), LARGE);
  const result = run(['input', '--data', data, '--cores', '2', '--kills', '1'], { env: { WALSTACK_IO: backend } });
  expect([result.status, result.stderr]).toEqual([0, '']);
  expect(figuresOf(result.stdout)).toMatchObject({ recovered: '20,000', lost: '0', wrong: '0' });
});

describe('a wrong command line is reported with exit code 2', () => {
  test.each<readonly [string, readonly string[], string]>([
    ['a missing file', ['missing'], 'missing'],
    ['two files', ['input', 'input'], 'give only one file'],
    ['--cores 0', ['input', '--cores', '0'], '--cores must be a whole number'],
    ['--kills x', ['input', '--kills', 'x'], '--kills must be a whole number'],
    ['an unknown option', ['input', '--core', '5'], '--core'],
  ])('%s', (_what, args, message) => {
    writeFileSync(join(folder, 'input'), 'a\n');
    const result = run([...args, '--data', data]);
    expect([result.status, result.stdout]).toEqual([2, '']);
    expect(result.stderr).toContain(message);
    expect(existsSync(data)).toBe(false);
  });
});

test('a directory that holds anything else is left alone', () => {
  mkdirSync(data);
  writeFileSync(join(data, 'thesis.txt'), 'years of work');
  const result = ingest('a\n');
  expect(result.status).toBe(2);
  expect(result.stderr).toContain('thesis.txt');
  expect(readdirSync(data)).toEqual(['thesis.txt']);
});

test('--help tells how it is used', () => {
  const result = run(['--help']);
  expect([result.status, result.stderr]).toEqual([0, '']);
  expect(result.stdout).toContain('--cores N');
});
