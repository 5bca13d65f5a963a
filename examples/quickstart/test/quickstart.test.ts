import { type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ringSupport } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

const program = (name: string): string => fileURLToPath(new URL(`../dist/${name}.js`, import.meta.url));

let folder: string;
let data: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'walstack-quickstart-test-'));
  data = join(folder, 'log');
});

afterEach(() => rmSync(folder, { recursive: true }));

/** Runs one of the programs where the test's files are. */
function run(name: string, args: readonly string[], input?: Uint8Array): SpawnSyncReturns<Buffer> {
  const { INIT_CWD: _, ...env } = process.env;
  return spawnSync(process.execPath, [program(name), ...args], {
    cwd: folder,
    env,
    ...(input === undefined ? {} : { input }),
    maxBuffer: 1024 * 1024 * 1024,
  });
}

function quickstart(content: Uint8Array | string, ...args: readonly string[]): SpawnSyncReturns<Buffer> {
  writeFileSync(join(folder, 'input'), content);
  return run('main', ['input', '--data', data, ...args]);
}

/** The rows of the closing table. */
function figuresOf({ stdout }: SpawnSyncReturns<Buffer>): Record<string, string> {
  const rows = stdout
    .toString()
    .split('\n')
    .map((line) => /^ {2}(\S+) {2,}(\S+)$/.exec(line))
    .filter((match) => match !== null);
  return Object.fromEntries(rows.map(([, name, value]) => [name as string, value as string]));
}

const LARGE = Array.from({ length: 3000 }, (_, index) => `line ${index} ${'.'.repeat(index % 90)}\n`).join('');
const BINARY = Uint8Array.from({ length: 100_000 }, (_, index) => (index * index * 31 + index * 7) % 256);

describe('every line comes through, and look --raw gives the file back byte for byte', () => {
  const inputs: readonly (readonly [string, Uint8Array | string, number])[] = [
    ['a text', LARGE, 3000],
    ['empty lines', 'a\n\n\nb\n\n', 5],
    ['CRLF', 'a\r\nb\r\n\r\nc\r\n', 4],
    ['no line feed at its end', 'a\nb\nc', 3],
    ['binary bytes', BINARY, BINARY.reduce((sum, byte) => sum + (byte === 10 ? 1 : 0), 1)],
    ['one line', 'alone\n', 1],
    ['one line without a line feed', 'alone', 1],
    ['one line feed', '\n', 1],
    ['nothing', '', 0],
    ['a line of 3 MiB', `short\n${'x'.repeat(3 * 1024 * 1024)}\nshort\n`, 3],
  ];

  test.each(inputs)('%s', (_what, content, lines) => {
    const result = quickstart(content, '--kills', '2');
    expect(result.stderr.toString()).toBe('');
    expect(result.status).toBe(0);
    const count = lines.toLocaleString('en-US');
    expect(figuresOf(result)).toMatchObject({
      lines: count,
      acknowledged: count,
      recovered: count,
      lost: '0',
      duplicated: '0',
    });
    const raw = run('look', [data, '--raw']);
    expect([raw.status, raw.stderr.toString()]).toEqual([0, '']);
    expect(raw.stdout.equals(Buffer.from(content))).toBe(true);
  });
});

test('the child is killed as often as was asked for, and each kill is checked', () => {
  const result = quickstart(LARGE.repeat(5), '--kills', '3');
  expect(result.status).toBe(0);
  const runs = [...result.stdout.toString().matchAll(/run \d+: killed, .* lines acknowledged, .* recovered, 0 lost/g)];
  expect(figuresOf(result)['kills']).toBe(String(runs.length));
  expect(runs.length).toBeGreaterThan(0);
});

test('--kills 0 runs through at once', () => {
  const result = quickstart(LARGE, '--kills', '0');
  expect(result.status).toBe(0);
  expect(figuresOf(result)).toMatchObject({ kills: '0', lost: '0', duplicated: '0' });
  expect(result.stdout.toString()).toContain('run 1: came to the end');
  expect(result.stdout.toString()).not.toContain('run 2');
});

test('- reads standard input', () => {
  const result = run('main', ['-', '--data', data, '--kills', '2'], Buffer.from(LARGE));
  expect(result.status).toBe(0);
  expect(figuresOf(result)).toMatchObject({ lines: '3,000', recovered: '3,000', lost: '0', duplicated: '0' });
  expect(run('look', [data, '--raw']).stdout.toString()).toBe(LARGE);
  expect(readdirSync(folder)).toEqual(['log']);
});

const backends = ['sync-fs', 'thread-pool', ...(ringSupport().available ? ['io-uring'] : [])];

test.each(backends)('WALSTACK_IO=%s chooses the backend', (backend) => {
  writeFileSync(join(folder, 'input'), LARGE);
  const result = spawnSync(process.execPath, [program('main'), 'input', '--data', data, '--kills', '1'], {
    cwd: folder,
    env: { ...process.env, INIT_CWD: folder, WALSTACK_IO: backend },
  });
  expect(result.status).toBe(0);
  expect(figuresOf(result)).toMatchObject({ backend, lost: '0', duplicated: '0' });
});

describe('a wrong command line is reported with exit code 2', () => {
  test.each<readonly [string, readonly string[], string]>([
    ['a missing file', ['missing'], 'missing'],
    ['a directory', ['.'], 'is not a file'],
    ['two files', ['input', 'input'], 'give only one file'],
    ['--kills x', ['input', '--kills', 'x'], '--kills must be a whole number'],
    ['--kills -1', ['input', '--kills=-1'], '--kills must be a whole number'],
    ['--kills 1.5', ['input', '--kills', '1.5'], '--kills must be a whole number'],
    ['--kills 1001', ['input', '--kills', '1001'], '--kills must be a whole number'],
    ['--kills with nothing', ['input', '--kills='], '--kills must be a whole number'],
    ['an unknown option', ['input', '--kill', '5'], '--kill'],
  ])('%s', (_what, args, message) => {
    writeFileSync(join(folder, 'input'), 'a\n');
    const result = run('main', [...args, '--data', data]);
    expect(result.status).toBe(2);
    expect(result.stderr.toString()).toContain(message);
    expect(result.stderr.toString()).toContain('npm start -- access.log');
    expect(result.stdout.toString()).toBe('');
    expect(existsSync(data)).toBe(false);
  });
});

test('--help tells how it is used', () => {
  const result = run('main', ['--help']);
  expect([result.status, result.stderr.toString()]).toEqual([0, '']);
  expect(result.stdout.toString()).toContain('--kills N');
});

describe('where the log goes', () => {
  test('an earlier log is replaced', () => {
    quickstart('first\n');
    expect(quickstart('second\n').status).toBe(0);
    expect(run('look', [data, '--raw']).stdout.toString()).toBe('second\n');
  });

  test('an earlier log is replaced even when it is damaged', () => {
    quickstart('first\n');
    for (const name of readdirSync(data)) writeFileSync(join(data, name), 'damaged');
    expect(quickstart('second\n').status).toBe(0);
  });

  test('an empty directory is taken', () => {
    mkdirSync(data);
    expect(quickstart('a\n').status).toBe(0);
  });

  test('a directory that holds anything else is left alone', () => {
    mkdirSync(data);
    writeFileSync(join(data, 'thesis.txt'), 'years of work');
    const result = quickstart('a\n');
    expect(result.status).toBe(2);
    expect(result.stderr.toString()).toContain('thesis.txt');
    expect(readdirSync(data)).toEqual(['thesis.txt']);
    expect(readFileSync(join(data, 'thesis.txt'), 'utf8')).toBe('years of work');
  });

  test('a file is left alone', () => {
    writeFileSync(data, 'mine');
    const result = quickstart('a\n');
    expect([result.status, readFileSync(data, 'utf8')]).toEqual([2, 'mine']);
  });

  test('a log that is in use is left alone', async () => {
    quickstart('a\n');
    await using wal = await Wal.open(data);
    const result = quickstart('b\n');
    expect([result.status, wal.lastLsn]).toEqual([1, 1]);
    expect(result.stderr.toString()).toContain('WAL_LOCKED');
  });

  test('paths are meant from where the user stands', () => {
    writeFileSync(join(folder, 'input'), 'a\n');
    const result = spawnSync(process.execPath, [program('main'), 'input', '--data', 'log'], {
      cwd: tmpdir(),
      env: { ...process.env, INIT_CWD: folder },
    });
    expect([result.status, existsSync(data)]).toEqual([0, true]);
    expect(result.stdout.toString()).toContain('npm run look -- log ');
  });
});

describe('look', () => {
  test('shows segments and first events, and control characters as dots', () => {
    quickstart('first\n\x1b[31mred\u009b\n', '--kills', '0');
    const result = run('look', [data]);
    expect(result.status).toBe(0);
    const shown = result.stdout.toString();
    expect(shown).toContain(`${data}: LSN 1 to 2`);
    expect(shown).toMatch(/ 1 {2}\S+ \S+ {2}first\n/);
    expect(shown).toMatch(/ 2 {2}\S+ \S+ {2}·\[31mred·\n/);
  });

  test('--from and --limit choose, and what is left is counted', () => {
    quickstart(LARGE, '--kills', '0');
    const shown = run('look', [data, '--from', '100', '--limit', '2']).stdout.toString();
    expect(shown).toMatch(/ 100 {2}\S+ \S+ {2}line 99 /);
    expect(shown).toMatch(/ 101 {2}\S+ \S+ {2}line 100 /);
    expect(shown).not.toContain('line 101 ');
    expect(shown).toContain('2899 more');
    const raw = run('look', [data, '--raw', '--from', '2999']).stdout.toString();
    expect(raw).toBe(LARGE.split('\n').slice(2998).join('\n'));
  });

  test.skipIf(process.platform === 'win32')('a reader that has seen enough is no error', () => {
    quickstart(LARGE.repeat(20), '--kills', '0');
    const command = `"${process.execPath}" "${program('look')}" "${data}" --raw | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const result = spawnSync('bash', ['-c', command], { env: { ...process.env, INIT_CWD: folder } });
    expect(result.stderr.toString()).toBe('');
    expect(result.stdout.toString()).toBe(`${LARGE.split('\n', 1)[0]}\n0\n`);
  });

  test.each<readonly [string, () => readonly string[], string]>([
    ['no log', () => [join(folder, 'nothing')], 'WAL_NOT_FOUND'],
    ['an LSN that is none', () => [data, '--from', 'x'], '"from" must be'],
    ['an LSN behind the last one', () => [data, '--from', '99'], '"from" must be'],
    ['a limit that is none', () => [data, '--limit', '0'], '"limit" must be'],
    ['an unknown option', () => [data, '--form', '1'], '--form'],
  ])('%s is reported, with exit code 1', (_what, args, message) => {
    quickstart('a\n', '--kills', '0');
    const result = run('look', args());
    expect(result.status).toBe(1);
    expect(result.stderr.toString()).toContain(message);
  });
});
