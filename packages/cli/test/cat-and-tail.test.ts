import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, jsonLines } from './support/cli.js';
import { flipByte, makeCores, makeEncryptedLog, makeLog } from './support/logs.js';

test('cat prints ranges and types of records in each format', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const some = jsonLines(await cli(['cat', log, '--from', '10', '--to', '20', '--type', '1', '--json']));
  expect(some.map(({ lsn }) => lsn)).toEqual([10, 13, 16, 19]);
  expect(some[0].payload).toMatch(/^event 10 /);
  const utf8 = await cli(['cat', log, '--format', 'utf8']);
  expect(utf8.out.split('\n')).toHaveLength(61);
  expect(utf8.out.split('\n')[4]).toMatch(/^event 5 \.+$/);
  const hex = await cli(['cat', log, '--from', '60', '--format', 'hex']);
  expect(hex.out).toContain('00000000  65 76 65 6e 74 20 36 30');
  expect((await cli(['cat', log, '--limit', '3'])).out.trimEnd().split('\n')).toHaveLength(3);
  expect((await cli(['cat', log, '--since', '1d', '--limit', '1'])).out).toContain('event 1');
  expect((await cli(['cat', log, '--since', '2999-01-01'])).out).toBe('');
});

test('cat refuses wrong arguments, and LSNs that are not there', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  expect((await cli(['cat', log, '--from', 'x'])).code).toBe(2);
  expect((await cli(['cat', log, '--since', 'soon'])).code).toBe(2);
  expect((await cli(['cat', log, '--core', '1', '--format', 'nothing'])).code).toBe(2);
  expect((await cli(['cat'])).code).toBe(2);
  expect((await cli(['nothing'])).code).toBe(2);
});

test('cat decrypts with the key file, and refuses without', async () => {
  const directory = temporaryDirectory();
  const [log, keys] = [join(directory, 'log'), join(directory, 'keys.json')];
  await makeEncryptedLog(log, keys);
  expect((await cli(['cat', log, '--limit', '1', '--key-file', keys, '--format', 'utf8'])).out).toMatch(/^event 1 /);
  expect((await cli(['cat', log])).code).toBe(6);
});

test('cat prints what is before damage, and then the error', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  flipByte(log, 1, 'event 3');
  const { code, out, err } = await cli(['cat', log, '--format', 'utf8']);
  expect(code).toBe(3);
  expect(out).toMatch(/^event 1 /);
  expect(err).toContain('WAL_CORRUPT');
});

test('cat merges the entries of a per-core log', async () => {
  const log = join(temporaryDirectory(), 'cores');
  await makeCores(log);
  const puts = jsonLines(await cli(['cat', log, '--type', '1', '--json']));
  expect(puts.map(({ coreId, valueBase64 }) => [coreId, Buffer.from(valueBase64, 'base64').toString()])).toEqual([
    [0, 'value-0'],
    [1, 'value-0'],
    [0, 'value-1'],
    [1, 'value-1'],
  ]);
  expect((await cli(['cat', log, '--core', '7'])).code).toBe(2);
  expect((await cli(['cat', log, '--from', '1'])).code).toBe(2);
});

test('tail prints the last records', async () => {
  const log = join(temporaryDirectory(), 'log');
  await makeLog(log);
  const lsns = async (...more: string[]): Promise<number[]> =>
    jsonLines(await cli(['tail', log, '--json', ...more])).map(({ lsn }) => lsn);
  expect(await lsns('-n', '2')).toEqual([59, 60]);
  expect(await lsns('-n', '40')).toEqual(Array.from({ length: 40 }, (_, index) => index + 21));
  expect(await lsns('-n', '999')).toHaveLength(60);
  expect((await cli(['tail', log, '-n', '0'])).out).toBe('');
});

test('tail -f prints what is committed while it runs, and ends in order when it is interrupted', async () => {
  const log = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory: log });
  wal.append('before');
  await wal.sync();
  const interrupted = new AbortController();
  let isAppended = false;
  const { code, out } = await cli(['tail', log, '-f', '--format', 'utf8'], {
    signal: interrupted.signal,
    onOutput: (text) => {
      if (text.includes('behind')) interrupted.abort();
      else if (!isAppended) {
        isAppended = true;
        wal.append('behind');
        void wal.sync();
      }
    },
  });
  await wal.close();
  expect(out).toBe('before\nbehind\n');
  expect(code).toBe(130);
});
