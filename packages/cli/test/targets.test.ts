import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json, jsonLines } from './support/cli.js';
import { contentOf, makeCores, makeEncryptedLog, makeLog, segmentsOf } from './support/logs.js';

const MAIN = fileURLToPath(new URL('../dist/main.js', import.meta.url));

describe('the log of a core is known by its segments, and not by its name', () => {
  test('a log that only has such a name is a log like others', async () => {
    const directory = temporaryDirectory();
    const log = join(directory, 'core-5');
    await makeLog(log);
    for (const command of ['verify', 'explain', 'inspect', 'cat', 'repair', 'append']) {
      expect(await cli([command, log]), command).toMatchObject({ code: 0 });
    }
    expect(await cli(['append', log], { input: 'more' })).toMatchObject({ code: 0, out: '61\n' });
    expect(await cli(['backup', log, join(directory, 'backup')])).toMatchObject({ code: 0 });
  });

  test('by another path it is not written', async () => {
    const directory = temporaryDirectory();
    const cores = join(directory, 'cores');
    const path = join(directory, 'log');
    await makeCores(cores);
    symlinkSync(join(cores, 'core-0'), path);
    const before = contentOf(cores);
    const writing = [
      ['append', path],
      ['hold', 'set', path, 'replica', '1'],
      ['import', path],
      ['truncate', path, '--after', '1', '--apply'],
      ['repair', path, '--apply'],
      ['backup', path, join(directory, 'backup')],
    ];
    for (const argv of writing)
      expect(await cli(argv, { input: '{"payload":"x"}' }), argv[0]).toMatchObject({ code: 2 });
    expect(contentOf(cores)).toEqual(before);
    for (const command of ['verify', 'inspect', 'explain', 'cat']) {
      expect(await cli([command, path]), command).toMatchObject({ code: 0 });
    }
  });
});

describe('in a per-core log, a directory without a segment', () => {
  const commands = ['cat', 'inspect', 'stats', 'verify', 'explain', 'repair'];

  test('is what a crash leaves where a core was added: the log is sound', async () => {
    const directory = temporaryDirectory();
    const cores = join(directory, 'cores');
    await makeCores(cores);
    const entries = (await cli(['cat', cores])).out;
    mkdirSync(join(cores, 'core-2'));
    for (const command of commands) expect(await cli([command, cores]), command).toMatchObject({ code: 0 });
    expect((await cli(['cat', cores])).out).toBe(entries);
    expect(await cli(['restore', cores, join(directory, 'copy')])).toMatchObject({ code: 0 });
    expect((await cli(['cat', join(directory, 'copy')])).out).toBe(entries);
  });

  test('of a core that had a log is damage', async () => {
    const cores = join(temporaryDirectory(), 'cores');
    await makeCores(cores);
    for (const path of segmentsOf(join(cores, 'core-1'))) rmSync(path);
    for (const command of ['verify', 'explain', 'repair']) {
      const { code, out } = await cli([command, cores]);
      expect(code, command).toBe(3);
      expect(out).toContain('names core 1, whose log is missing');
    }
  });
});

test('a header of a core that cannot be read is damage, also for what prints entries', async () => {
  const cores = join(temporaryDirectory(), 'cores');
  await makeCores(cores);
  for (const path of segmentsOf(join(cores, 'core-1'))) writeFileSync(path, Buffer.alloc(8192, 1));
  for (const command of ['cat', 'export', 'inspect', 'verify', 'explain']) {
    expect(await cli([command, cores]), command).toMatchObject({ code: 3 });
  }
});

test('--core is refused for what has no cores', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  await makeCores(at('cores'));
  const writer = await PortableWalWriter.open(at('frames'), { framed: true });
  await writer.appendWithChecksum(Buffer.from('frame'));
  await writer.close();
  for (const path of [at('log'), at('cores/core-0'), at('frames')]) {
    for (const command of ['cat', 'export', 'verify', 'explain', 'inspect']) {
      const { code, out, err } = await cli([command, path, '--core', '1']);
      expect({ code, out }, `${command} ${path}`).toEqual({ code: 2, out: '' });
      expect(err).toContain('--core has no meaning');
    }
  }
});

test.each([
  ['tail', '--written'],
  ['stats', '--count', '3'],
  ['repair', '--salvage-lsn', '38', '--apply'],
  ['repair', '--salvage-lsn', '38', '--mode', 'strict'],
  ['repair', '--salvage-lsn', '38,112', '--mode', 'salvage'],
])('an option that would be ignored is refused: %s %s', async (command, ...options) => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log, {}, 1);
  expect(await cli([command, log, ...options])).toMatchObject({ code: 2, out: '' });
});

test('an empty path is not the present directory', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const before = contentOf(log);
  const argvs = [
    ['truncate', '', '--after', '0', '--apply'],
    ['append', ''],
    ['restore', log, ''],
    ['hold', 'set', '', 'name', '1'],
    ['cat', ''],
  ];
  for (const argv of argvs) {
    const { status, stderr } = spawnSync(process.execPath, [MAIN, ...argv], { cwd: log, encoding: 'utf8', input: 'x' });
    expect({ status, stderr }, argv[0]).toEqual({ status: 2, stderr: 'usage: an argument is empty\n' });
  }
  expect(contentOf(log)).toEqual(before);
});

test('a key file that is missing is no missing log', async () => {
  const directory = temporaryDirectory();
  const log = join(directory, 'log');
  await makeEncryptedLog(log, join(directory, 'keys.json'));
  const keys = ['--key-file', join(directory, 'other.json')];
  for (const command of ['cat', 'verify', 'explain', 'inspect', 'append', 'repair', 'tail']) {
    expect(await cli([command, log, ...keys]), command).toMatchObject({ code: 6 });
  }
  const explained = json(await cli(['explain', log, ...keys, '--json']));
  expect(explained.error).toMatchObject({ code: 'WAL_BAD_KEY', reason: 'missing-key-file', path: keys[1] });
  expect(explained.explanation).toContain('key file');
});

test.each(['60', '5', '-5', 'event 1', '3600', '2026'])('--since %s is no time', async (time) => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log, {}, 1);
  expect(await cli(['cat', log, `--since=${time}`])).toMatchObject({ code: 2, out: '' });
});

test.each(['1970-02', '1970-01-31', '1970-01-31T12:00:00Z', '1970-01-31 12:00', '3650d'])(
  '--since %s is a time',
  async (time) => {
    const log = join(temporaryDirectory(), 'log');
    await makeLog(log, {}, 1);
    expect(jsonLines(await cli(['cat', log, '--json', '--since', time]))).toHaveLength(1);
  },
);

test('nothing of a record or a name reaches a terminal that obeys it', async () => {
  const directory = temporaryDirectory();
  const [log, copy] = [join(directory, 'log'), join(directory, 'copy')];
  const payload = 'a\u009b31m\u202eb\u2028\u0007\u001b[2J';
  await makeLog(log, {}, 1);
  const wal = await SegmentedWal.open({ directory: log });
  wal.append(payload);
  await wal.hold('one\ntwo', 1);
  await wal.close();
  const printed = await Promise.all(
    [
      ['cat', log],
      ['cat', log, '--json'],
      ['tail', log, '--json'],
      ['export', log],
      ['hold', 'list', log],
      ['inspect', log],
    ].map((argv) => cli(argv)),
  );
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters that must not be there
  for (const { out } of printed) expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]/);
  const lines = printed.map(({ out }) => out.trimEnd().split('\n'));
  expect(lines[1]?.map((line) => JSON.parse(line).payload)).toContain(payload);
  // A hold is one row of a table.
  expect(lines[4]).toHaveLength(3);
  const exported = await cli(['export', log]);
  expect(await cli(['import', copy, '--create'], { input: exported.out })).toMatchObject({ code: 0 });
  expect(jsonLines(await cli(['cat', copy, '--json']))[1].payload).toBe(payload);
});

test('another file of a per-core log under the name of the note of a salvage is an unfinished salvage', async () => {
  const cores = join(temporaryDirectory(), 'cores');
  await makeCores(cores);
  copyFileSync(join(cores, 'manifest'), join(cores, 'salvage'));
  for (const command of ['verify', 'explain', 'repair', 'cat']) {
    const { code, out, err } = await cli([command, cores]);
    expect([code, `${out}${err}`], command).toEqual([3, expect.stringContaining('has an unfinished salvage')]);
  }
});
