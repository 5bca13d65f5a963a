import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import process from 'node:process';
import { PassThrough, Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { makeCores, makeEncryptedLog, makeLog } from './support/logs.js';

test('append makes a record of each line, the last one too, and prints their LSNs', async () => {
  const log = join(temporaryDirectory(), 'log');
  expect((await cli(['append', log], { input: 'one\n' })).code).toBe(4);
  const first = await cli(['append', log, '--create', '--type', '7'], { input: 'one\n\ntwo' });
  expect(first).toMatchObject({ code: 0, out: '1\n2\n3\n', err: '' });
  expect(jsonLines(await cli(['append', log, '--json'], { input: 'three\n' }))).toEqual([{ lsn: 4 }]);
  const read = jsonLines(await cli(['cat', log, '--json']));
  expect(read.map(({ type, payload }) => [type, payload])).toEqual([
    [7, 'one'],
    [7, ''],
    [7, 'two'],
    [0, 'three'],
  ]);
});

test('append takes lines over the pieces of its input, and bytes that are no text', async () => {
  const log = join(temporaryDirectory(), 'log');
  const bytes = Buffer.concat([Buffer.from([0xff, 0, 13, 10]), Buffer.from('x'.repeat(1000)), Buffer.from([10, 0xe2])]);
  const pieces = Array.from(bytes, (byte) => Buffer.from([byte]));
  expect((await cli(['append', log, '--create'], { input: Readable.from(pieces) })).out).toBe('1\n2\n3\n');
  const wal = await SegmentedWal.open({ directory: log, recoveryMode: 'readonly' });
  expect((await wal.read(1))?.payload).toEqual(new Uint8Array([0xff, 0, 13]));
  expect((await wal.read(2))?.payload).toHaveLength(1000);
  expect((await wal.read(3))?.payload).toEqual(new Uint8Array([0xe2]));
  await wal.close();
});

test('append decodes base64, hex and JSON, and says which line is none', async () => {
  const log = join(temporaryDirectory(), 'log');
  await cli(['append', log, '--create', '--encoding', 'base64'], { input: 'AAEC\n' });
  await cli(['append', log, '--encoding', 'hex'], { input: '0A0b\n' });
  await cli(['append', log, '--encoding', 'json'], { input: '{"a": 1}\n' });
  const read = jsonLines(await cli(['cat', log, '--json']));
  expect(read.map(({ payload }) => payload)).toEqual(['\0\x01\x02', '\n\v', '{"a": 1}']);
  for (const [encoding, wrong] of [
    ['base64', 'AAE'],
    ['hex', 'xy'],
    ['json', '{'],
  ] as const) {
    const refused = await cli(['append', log, '--encoding', encoding], { input: `\n${wrong}\n` });
    expect(refused.code).toBe(1);
    expect(refused.err).toMatch(encoding === 'json' ? /line 1: / : /line 2: /);
  }
});

test('append refuses a log that is open, cores, and options that have no meaning', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  const wal = await SegmentedWal.open({ directory: at('log') });
  expect((await cli(['append', at('log')], { input: 'x' })).code).toBe(5);
  await wal.close();
  await makeCores(at('cores'));
  expect((await cli(['append', at('cores')], { input: 'x' })).code).toBe(2);
  expect((await cli(['append', join(at('cores'), 'core-0')], { input: 'x' })).code).toBe(2);
  await makeEncryptedLog(at('secret'), at('keys.json'));
  expect((await cli(['append', at('secret')], { input: 'x' })).code).toBe(6);
  expect((await cli(['append', at('secret'), '--key-file', at('keys.json')], { input: 'x' })).out).toBe('61\n');
});

test('append adds frames to a file of frames, and prints their positions', async () => {
  const file = join(temporaryDirectory(), 'frames');
  await (await PortableWalWriter.open(file, { framed: true })).close();
  expect((await cli(['append', file], { input: 'one\ntwo\n' })).out).toBe('0\n11\n');
  expect((await cli(['append', file, '--json'], { input: 'three' })).out).toBe('{"position":22}\n');
  expect((await cli(['cat', file, '--format', 'utf8'])).out).toBe('one\ntwo\nthree\n');
  expect((await cli(['append', file, '--type', '1'], { input: 'x' })).code).toBe(2);
});

test('append acknowledges while it waits for more, and ends in order when it is interrupted', async () => {
  const log = join(temporaryDirectory(), 'log');
  const stdin = new PassThrough();
  const interrupt = new AbortController();
  stdin.write('one\nrest of a line');
  const { code, out } = await cli(['append', log, '--create'], {
    input: stdin,
    signal: interrupt.signal,
    onOutput: () => interrupt.abort(),
  });
  expect([code, out]).toEqual([130, '1\n']);
  expect(json(await cli(['verify', log, '--json'])).report).toMatchObject({ records: 1, reason: 'clean' });
});

test('what append has acknowledged survives a kill of it', async () => {
  const log = join(temporaryDirectory(), 'log');
  const main = fileURLToPath(new URL('../dist/main.js', import.meta.url));
  const child = spawn(process.execPath, [main, 'append', log, '--create'], { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {});
  let acknowledged = '';
  child.stdout.on('data', (text) => {
    acknowledged += text;
    if (acknowledged.length > 20_000) child.kill('SIGKILL');
  });
  const exited = once(child, 'exit');
  for (let line = 0; child.exitCode === null && child.signalCode === null; line++) {
    if (!child.stdin.write(`line ${line} ${'.'.repeat(100)}\n`)) {
      await Promise.race([once(child.stdin, 'drain').catch(() => {}), exited]);
    }
  }
  await exited;
  const last = Number(acknowledged.slice(0, acknowledged.lastIndexOf('\n')).split('\n').at(-1));
  expect(last).toBeGreaterThan(1000);
  const { report } = json(await cli(['verify', log, '--json']));
  expect(report.lastLsn).toBeGreaterThanOrEqual(last);
});

test('append and import write into no file of a log, and make no log inside one or in the place of a core', async () => {
  const directory = temporaryDirectory();
  const [log, cores] = [join(directory, 'log'), join(directory, 'cores')];
  await makeLog(log);
  await cli(['hold', 'set', log, 'a', '5']);
  await makeCores(cores);
  const lines = '{"payload":"x"}\n';
  for (const path of [join(log, 'checkpoint'), join(cores, 'manifest'), join(log, 'LOCK')]) {
    for (const command of ['append', 'import']) {
      const refused = await cli([command, path], { input: lines });
      expect([path, refused.code]).toEqual([path, 2]);
      expect(refused.err).toContain('is a file of the log in');
    }
  }
  for (const path of [join(cores, 'core-2'), join(cores, 'new'), join(log, 'new'), join(directory, 'core-0')]) {
    for (const command of ['append', 'import']) {
      expect([path, (await cli([command, path, '--create'], { input: lines })).code]).toEqual([path, 2]);
    }
  }
  for (const path of [log, cores]) expect((await cli(['verify', path])).code).toBe(0);
});

test('what was appended does not stay in memory', async () => {
  const log = join(temporaryDirectory(), 'log');
  const kept: WeakRef<Buffer>[] = [];
  async function* chunks(): AsyncGenerator<Buffer> {
    for (let each = 0; each < 200; each++) {
      const chunk = Buffer.from(new ArrayBuffer(8)).fill(10);
      kept.push(new WeakRef(chunk));
      yield chunk;
    }
    for (let each = 0; each < 5; each++) await turn();
    setFlagsFromString('--expose-gc');
    (runInNewContext('gc') as () => void)();
    await turn();
    expect(kept.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThan(100);
  }
  const appended = await cli(['append', log, '--create'], { input: Readable.from(chunks(), { objectMode: true }) });
  expect(appended).toMatchObject({ code: 0, err: '' });
});

test.each(['append', 'import'])('%s does not gather a line that is longer than any record', async (command) => {
  const log = join(temporaryDirectory(), 'log');
  const piece = Buffer.alloc(256 * 1024, 'x');
  let pieces = 0;
  // A line without an end.
  const input = new Readable({
    read() {
      this.push(++pieces > 100 ? null : piece);
    },
  });
  const outcome = await cli([command, log, '--create', '--max-payload-bytes', '1000'], { input });
  expect(outcome).toMatchObject({ code: 1, err: expect.stringContaining('WAL_TOO_LARGE: a line is longer than') });
  expect(pieces).toBeLessThan(30);
});
