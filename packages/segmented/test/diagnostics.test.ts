import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { channels, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo } from '@walstack/storage-io';
import { describe, expect, onTestFinished, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { listen } from '../../../harness/test-kit/channels.js';
import { changed, flip, restore, segmentNames } from './support/files.js';
import { make, openIn } from './support/logs.js';

/** What is said on all channels from now on, in order. */
function listenToAll(): [channel: string, message: object][] {
  const heard: [string, object][] = [];
  for (const key of Object.keys(channels)) {
    const name = `walstack:${key}`;
    listen(name, (message) => heard.push([name, message as object]));
  }
  return heard;
}

test('what happens to a log on real files is said on the channels, in order', async () => {
  const heard = listenToAll();
  const io = createSyncFsStorageIo();
  const directory = directoryFor(io);
  const config = { directory, io, segmentBytes: 2048, blockBytes: 512, recycleSegments: 1 };
  const wal = await SegmentedWal.open({ ...config, preallocate: 'write' });
  for (let each = 0; each < 9; each++) {
    wal.append(new Uint8Array(400));
    await wal.sync();
  }
  await wal.truncateBefore(5);
  wal.append(new Uint8Array(1500));
  wal.append(new Uint8Array(1500));
  await wal.close();
  const again = await SegmentedWal.open({ directory, io, create: false });
  await again.close();

  const said = (name: string): object[] => heard.flatMap(([channel, message]) => (channel === name ? [message] : []));
  const log = { directory };
  expect(said('walstack:open')).toEqual([
    { ...log, backend: 'sync-fs', created: true, firstLsn: 1, lastLsn: 0, durationMs: expect.any(Number) },
    { ...log, backend: 'sync-fs', created: false, firstLsn: 4, lastLsn: 11, durationMs: expect.any(Number) },
  ]);
  expect(said('walstack:recover')).toEqual([{ ...log, report: again.recovery }]);
  const rolls = said('walstack:roll');
  expect(rolls).toHaveLength(wal.stats().rolls);
  expect(rolls[0]).toMatchObject({
    ...log,
    sealed: { number: 1, state: 'sealed', firstLsn: 1, lastLsn: 3 },
    active: { number: 2, state: 'active', firstLsn: 4 },
  });
  const freed = io.capabilities.fileLocks
    ? { segmentsDeleted: 0, segmentsRecycled: 1, bytesReclaimed: 0, segmentsLeft: 0 }
    : { segmentsDeleted: 1, segmentsRecycled: 0, bytesReclaimed: 2048, segmentsLeft: 0 };
  expect(said('walstack:truncate')).toEqual([{ ...log, firstLsn: 4, lastLsn: 9, ...freed }]);
  expect(said('walstack:recycle')).toEqual(io.capabilities.fileLocks ? [{ ...log, segment: 5 }] : []);
  expect(said('walstack:error')).toEqual([]);
  expect(heard.at(-2)?.[0]).toBe('walstack:recover');
});

describe('a failure', () => {
  const open = (config: Partial<SegmentedWalConfig> = {}): SegmentedWal =>
    SegmentedWal.openSync({ directory: '/log', io: createMemoryStorageIo(), ...config });

  test('is reported once: on the channel at once, and to onFailure in a microtask of its own', async () => {
    const heard = listenToAll();
    const told: unknown[] = [];
    const wal = open({ onFailure: (failure) => told.push(failure) });
    wal.append('a');
    await wal.io.dispose();
    expect(() => wal.syncSync()).toThrow();
    expect(() => wal.syncSync()).toThrow();
    const { failure } = wal;
    expect(failure).toBeDefined();
    expect(heard.at(-1)).toEqual(['walstack:error', { directory: '/log', operation: 'write', error: failure }]);
    expect(heard.filter(([name]) => name === 'walstack:error')).toHaveLength(1);
    expect(told).toEqual([]);
    await Promise.resolve();
    expect(told).toEqual([failure]);
  });

  test('to open a log is said with its error', () => {
    const heard = listenToAll();
    const { files } = make({ groups: [[100], [100], [100]] });
    const [name] = segmentNames(files);
    const corrupt = { code: 'WAL_CORRUPT', lsn: 1 };
    const io = restore(changed(files, name as string, flip(520)));
    heard.length = 0;
    expect(() => openIn(io)).toThrow(expect.objectContaining(corrupt));
    expect(heard).toMatchObject([['walstack:error', { operation: 'open', directory: '/log', error: corrupt }]]);
  });

  test('has a function as its listener', () => {
    expect(() => open({ onFailure: 5 as never })).toThrow(
      expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining('onFailure') }),
    );
  });
});

test('where a log cannot rely on its file system is said when it is opened', async () => {
  const heard = listenToAll();
  const io = createSyncFsStorageIo();
  const directory = directoryFor(io);
  const on = (caution?: string): void => {
    const known = caution === undefined ? {} : { caution };
    io.fileSystem = () => ({ type: 'some', durableWrites: false, ...known });
  };
  on('some disk that is far away');
  await (await SegmentedWal.open({ directory, io })).close();
  on();
  await (await SegmentedWal.open({ directory, io })).close();
  on('some disk that is still far away');
  await (await SegmentedWal.open({ directory, io, recoveryMode: 'readonly' })).close();
  expect(heard.filter(([channel]) => channel === 'walstack:caution').map(([, message]) => message)).toEqual([
    { directory, fileSystem: 'some', message: `${directory} lies on some disk that is far away.` },
    { directory, fileSystem: 'some', message: `${directory} lies on some disk that is still far away.` },
  ]);
});

test('a log that is read when it says that it rolls has all of its segments and records', () => {
  const wal = openIn(createMemoryStorageIo(), { segmentBytes: 2048 });
  const found: unknown[] = [];
  const listener = (): void => {
    found.push([wal.listSegments().map(({ firstLsn }) => firstLsn), [...wal.replay()].map(({ lsn }) => lsn)]);
  };
  subscribe('walstack:roll', listener);
  onTestFinished(() => {
    unsubscribe('walstack:roll', listener);
  });
  for (let lsn = 1; lsn <= 9; lsn++) {
    wal.append(new Uint8Array(400));
    wal.syncSync();
  }
  expect(found).toEqual([
    [
      [1, 4],
      [1, 2, 3, 4],
    ],
    [
      [1, 4, 7],
      [1, 2, 3, 4, 5, 6, 7],
    ],
  ]);
});
