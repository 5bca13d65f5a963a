import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { SegmentedWal } from '@walstack/segmented';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli } from './support/cli.js';
import { flipByte, makeLog } from './support/logs.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

const start = (...argv: string[]) => {
  const child = spawn(process.execPath, [MAIN, ...argv], { stdio: ['ignore', 'pipe', 'pipe'] });
  let err = '';
  child.stderr.on('data', (text) => {
    err += text;
  });
  return { child, errors: () => err, exited: once(child, 'exit') };
};

test('the binary returns exit codes, and prints no colours into a pipe', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const { child, exited } = start('inspect', log);
  let out = '';
  child.stdout.on('data', (text) => {
    out += text;
  });
  expect(await exited).toEqual([0, null]);
  expect(out).toContain('60, LSN 1 to 60');
  expect(out).not.toContain('\x1b');
  const missing = start('verify', join(log, 'nowhere'));
  expect(await missing.exited).toEqual([4, null]);
  expect(missing.errors()).toContain('WAL_NOT_FOUND');
});

test('a reader that ends early ends the command without an error', async () => {
  const log = join(temporaryDirectory(), 'log');
  // More than a pipe holds, so that the command has to notice.
  await makeLog(log, { segmentBytes: 1024 * 1024 }, 5000);
  const { child, exited, errors } = start('cat', log, '--format', 'utf8');
  await once(child.stdout, 'data');
  child.stdout.destroy();
  expect(await exited).toEqual([0, null]);
  expect(errors()).toBe('');
});

test('SIGINT ends tail -f in order', async () => {
  const log = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory: log });
  wal.append('one');
  await wal.sync();
  const { child, exited, errors } = start('tail', '-f', log);
  await once(child.stdout, 'data');
  child.kill('SIGINT');
  expect(await exited).toEqual([130, null]);
  expect(errors()).toBe('');
  await wal.close();
});

test.each([
  ['which goes on', ['cat', '--format', 'hex']],
  ['which has ended but for its output', ['verify']],
])('a signal ends a command whose output nothing reads, %s', async (_what, [command = '', ...options]) => {
  const { run } = await import('@walstack/cli');
  const log = join(temporaryDirectory(), 'log');
  // More than an output gathers before it waits for its reader.
  await makeLog(log, {}, 100);
  const interrupted = new AbortController();
  const stdout = new Writable({ write: () => void setImmediate(() => interrupted.abort()) });
  const streams = { stdout, stderr: new PassThrough(), stdin: new PassThrough(), signal: interrupted.signal };
  expect(await run([command, log, ...options], streams)).toBe(130);
});

test('help has examples and exit codes, and colours obey the terminal and NO_COLOR', async () => {
  const help = await cli(['verify', '--help']);
  expect(help.code).toBe(0);
  expect(help.out).toContain('Examples:');
  expect(help.out).toContain('3  the log is damaged');
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  expect((await cli(['verify', log], { isTTY: true })).out).toContain('\x1b[32msound');
  expect((await cli(['verify', log], { isTTY: true, env: { NO_COLOR: '1' } })).out).not.toContain('\x1b');
});

test('a program adds commands of its own', async () => {
  const { run } = await import('@walstack/cli');
  const stdout = new PassThrough();
  const streams = { stdout, stderr: new PassThrough(), stdin: new PassThrough() };
  const code = await run(['hello'], streams, [
    (program, { out }) => {
      program.command('hello').action(() => out.line('hello'));
    },
  ]);
  expect(code).toBe(0);
  expect(stdout.read().toString()).toBe('hello\n');
});

test('append whose output nothing reads ends as failed, with what it has appended, unless it had read all lines', async () => {
  const directory = temporaryDirectory();
  const append = (log: string) =>
    spawn(process.execPath, [MAIN, 'append', join(directory, log), '--create'], { stdio: ['pipe', 'pipe', 'pipe'] });
  const child = append('log');
  child.stdin.on('error', () => {});
  let err = '';
  child.stderr.on('data', (text) => {
    err += text;
  });
  child.stdin.write('one\n');
  await once(child.stdout, 'data');
  child.stdout.destroy();
  const exited = once(child, 'exit');
  while (child.exitCode === null) {
    child.stdin.write('more\n');
    await Promise.race([exited, new Promise((resolve) => setTimeout(resolve, 5))]);
  }
  expect(child.exitCode).toBe(1);
  const appended = Number(
    /the first ([\d,]+) lines are appended, and no more were/.exec(err)?.[1]?.replaceAll(',', ''),
  );
  const verified = await cli(['verify', join(directory, 'log'), '--json']);
  expect(JSON.parse(verified.out).report.records).toBe(appended);

  const whole = append('whole');
  whole.stdout.destroy();
  whole.stdin.end('one\ntwo\n');
  expect(await once(whole, 'exit')).toEqual([0, null]);
  expect(JSON.parse((await cli(['verify', join(directory, 'whole'), '--json'])).out).report.records).toBe(2);
});

test('append whose output nothing reads returns 0 only where the last line is appended, too', async () => {
  const log = join(temporaryDirectory(), 'log');
  // The output ends before the lines do, which are all in memory by then.
  const lines = 12_000;
  const child = spawn(process.execPath, [MAIN, 'append', log, '--create', '--json'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdout.destroy();
  child.stdin.on('error', () => {});
  child.stdin.end(`${'x\n'.repeat(lines - 1)}last`);
  const [code] = await once(child, 'exit');
  const { records } = JSON.parse((await cli(['verify', log, '--json'])).out).report;
  expect([0, 1]).toContain(code);
  expect(code === 0).toBe(records === lines);
});

test('a closed standard error changes no exit code, and ends no command before its end', async () => {
  const directory = temporaryDirectory();
  const log = join(directory, 'log');
  await makeLog(log);
  flipByte(log, 0, 'event 7');
  const codeOf = async (...argv: string[]): Promise<number> => {
    const { child, exited } = start(...argv);
    child.stderr.destroy();
    child.stdout.resume();
    return (await exited)[0];
  };
  expect(await codeOf('verify', join(directory, 'nowhere'))).toBe(4);
  expect(await codeOf('cat', log)).toBe(3);
  expect(await codeOf('restore', log, join(directory, 'copy'))).toBe(3);
  expect(readdirSync(directory)).toEqual(['log']);
});
