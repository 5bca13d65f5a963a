import { appendFileSync, chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { PortableWalWriter } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { cli, json } from './support/cli.js';
import { contentOf, flipByte, makeCores, makeEncryptedLog, makeLog } from './support/logs.js';

test('backup copies a log that is open elsewhere, without changing it, and what is new when it is repeated', async () => {
  const directory = temporaryDirectory();
  const [log, backup] = [join(directory, 'log'), join(directory, 'backup')];
  // Nothing that the writer does in the background changes its files.
  const config = { segmentBytes: 8192, blockBytes: 512, markAfterMs: 0, preallocate: 'none' } as const;
  const wal = await SegmentedWal.open({ directory: log, ...config });
  try {
    for (let lsn = 1; lsn <= 60; lsn++) wal.append(`event ${lsn} ${'.'.repeat(300)}`);
    await wal.sync();
    const before = contentOf(log);
    const first = json(await cli(['backup', log, backup, '--json']));
    expect(first).toMatchObject({ firstLsn: 1, lastLsn: 60, keptSegments: 0 });
    expect(contentOf(log)).toEqual(before);
    wal.append('one more');
    await wal.sync();
    const second = await cli(['backup', log, backup]);
    expect(second.out).toContain('backed up, LSN 1 to 61');
    expect(second.out).toContain('copied 1 segment');
    expect(json(await cli(['verify', backup, '--json'])).report.lastLsn).toBe(61);
  } finally {
    await wal.close();
  }
});

test('backup refuses what is no earlier backup, and per-core logs and files of frames', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  await makeLog(at('other'));
  await makeCores(at('cores'));
  await cli(['backup', at('other'), at('backup')]);
  const refused = await cli(['backup', at('log'), at('backup')]);
  expect(refused.code).toBe(1);
  expect(refused.err).toContain('has a backup of another log');
  expect((await cli(['backup', at('cores'), at('new')])).code).toBe(2);
  expect((await cli(['backup', at('nothing'), at('new')])).code).toBe(4);
  flipByte(at('log'), 0, 'event 7 ');
  expect((await cli(['backup', at('log'), at('new')])).code).toBe(3);
});

test('restore copies an encrypted backup without its keys, verifies it, and the copy opens', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeEncryptedLog(at('log'), at('keys.json'));
  await cli(['backup', at('log'), at('backup')]);
  expect((await cli(['restore', at('backup'), at('restored')])).out).toContain('restored and verified, 60 records');
  const read = await cli(['cat', at('restored'), '--from', '60', '--key-file', at('keys.json'), '--format', 'utf8']);
  expect(read.out).toMatch(/^event 60 /);
});

test('restore copies per-core logs and files of frames, into an empty directory too', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeCores(at('cores'));
  mkdirSync(at('copy'));
  expect(json(await cli(['restore', at('cores'), at('copy'), '--json'])).records).toBeGreaterThan(0);
  expect((await cli(['cat', at('copy')])).out).toBe((await cli(['cat', at('cores')])).out);
  const writer = await PortableWalWriter.open(at('frames'), { framed: true });
  await writer.appendWithChecksum('one');
  await writer.close();
  expect((await cli(['restore', at('frames'), at('frames-copy')])).out).toContain('1 frame');
});

test('restore leaves nothing behind when the copy is damaged, the place taken, the log open, or it is interrupted', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeLog(at('log'));
  mkdirSync(at('taken'));
  writeFileSync(join(at('taken'), 'note'), 'mine');
  const names = readdirSync(directory);
  expect((await cli(['restore', at('log'), at('taken')])).code).toBe(2);
  const interrupted = await cli(['restore', at('log'), at('copy')], { signal: AbortSignal.abort() });
  expect(interrupted.code).toBe(130);
  const wal = await SegmentedWal.open({ directory: at('log') });
  expect((await cli(['restore', at('log'), at('copy')])).code).toBe(5);
  await wal.close();
  flipByte(at('log'), 0, 'event 7 ');
  const damaged = await cli(['restore', at('log'), at('copy')]);
  expect(damaged.code).toBe(3);
  expect(damaged.err).toContain('its copy was removed again');
  expect(readdirSync(directory)).toEqual(names);
});

test('restore refuses logs of cores that do not belong together', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  await makeCores(at('cores'));
  rmSync(at('cores/core-1'), { recursive: true });
  const refused = await cli(['restore', at('cores'), at('copy'), '--json']);
  expect(refused.code).toBe(3);
  expect(json(refused).error).toMatchObject({ code: 'WAL_CORRUPT', reason: 'missing-core' });
  expect(readdirSync(directory)).toEqual(['cores']);
});

test('restore says what of a file of frames cannot be read', async () => {
  const directory = temporaryDirectory();
  const at = (name: string): string => join(directory, name);
  const writer = await PortableWalWriter.open(at('frames'), { framed: true });
  await writer.appendWithChecksum('one');
  await writer.close();
  appendFileSync(at('frames'), Buffer.from([9, 0, 0, 0, 1, 2, 3]));
  expect((await cli(['restore', at('frames'), at('copy')])).out).toContain('7 bytes behind them cannot be read');
  expect(json(await cli(['restore', at('frames'), at('other'), '--json']))).toMatchObject({
    records: 1,
    bytesBehind: 7,
  });
});

test('restore makes a log that can be written of a backup that is kept read-only', async () => {
  const directory = temporaryDirectory();
  const [backup, log] = [join(directory, 'backup'), join(directory, 'log')];
  await makeLog(backup);
  for (const name of readdirSync(backup)) chmodSync(join(backup, name), 0o444);
  chmodSync(backup, 0o555);
  try {
    expect(await cli(['restore', backup, log])).toMatchObject({ code: 0 });
  } finally {
    chmodSync(backup, 0o755);
  }
  const modes = ['', ...readdirSync(log)].map((name) => statSync(join(log, name)).mode & 0o600);
  expect(modes).toEqual(modes.map(() => 0o600));
  expect(await cli(['append', log], { input: 'more' })).toMatchObject({ code: 0, out: '61\n' });
});
