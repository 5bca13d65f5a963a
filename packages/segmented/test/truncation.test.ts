import { join } from 'node:path';
import { decodeCheckpoint, decodeSegmentHeader, encodeCheckpoint } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { createSyncFsStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';
import { changed, cut, flip, readFile, restore, segmentNames, snapshot, writeFile } from './support/files.js';
import { DIRECTORY, make, openIn } from './support/logs.js';

const lsns = async (wal: SegmentedWal): Promise<number[]> => {
  const found: number[] = [];
  for await (const { lsn } of wal.replay()) found.push(lsn);
  return found;
};

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe.each(BACKENDS)('on %s', (_name, create) => {
  const filled = async () => {
    const io = create();
    const directory = directoryFor(io);
    const config = { segmentBytes: 4096, blockBytes: 512, recycleSegments: 0, markAfterMs: 0 };
    const wal = await SegmentedWal.open({ directory, io, ...config });
    for (let lsn = 1; lsn <= 100; lsn++) wal.append(new Uint8Array(300));
    await wal.sync();
    return { io, directory, wal };
  };

  test('removes whole segments below an LSN, for good', async () => {
    const { io, directory, wal } = await filled();
    const before = wal.listSegments();
    const sizes = wal.totalSizeBytes();
    const result = await wal.truncateBefore(50);
    const after = wal.listSegments();
    expect(result.segmentsDeleted).toBe(before.length - after.length);
    expect(result.segmentsRecycled).toBe(0);
    expect(result.bytesReclaimed).toBe(sizes - wal.totalSizeBytes());
    expect(after[0]?.firstLsn).toBeLessThanOrEqual(50);
    expect(after[1]?.firstLsn).toBeGreaterThan(50);
    expect(wal.firstLsn).toBe(after[0]?.firstLsn);
    expect(await lsns(wal)).toEqual(range(wal.firstLsn, 100));
    expect(await wal.truncateBefore(50)).toMatchObject({ segmentsDeleted: 0, bytesReclaimed: 0 });
    expect(() => wal.replayFrom(1)).toThrow(expect.objectContaining({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn }));
    const { firstLsn } = wal;
    await wal.close();
    const names = io.list(directory).filter((name) => name.startsWith('wal-'));
    expect(names).toHaveLength(after.length);
    const again = await SegmentedWal.open({ directory, io });
    expect(again.firstLsn).toBe(firstLsn);
    expect(await lsns(again)).toEqual(range(firstLsn, 100));
    await again.close();
    await io.dispose();
  });

  test('with the next LSN leaves an empty log whose LSNs go on', async () => {
    const { io, directory, wal } = await filled();
    wal.append('pending');
    await wal.truncateBefore(wal.nextLsn);
    expect([wal.firstLsn, wal.nextLsn, wal.lastLsn, wal.durableLsn]).toEqual([102, 102, 101, 101]);
    expect(wal.listSegments()).toHaveLength(1);
    expect(await lsns(wal)).toEqual([]);
    await wal.truncateBefore(wal.nextLsn);
    expect(wal.listSegments()).toHaveLength(1);
    await wal.close();
    const again = await SegmentedWal.open({ directory, io });
    expect([again.firstLsn, again.nextLsn]).toEqual([102, 102]);
    expect(again.append('on')).toBe(102);
    await again.close();
    const last = await SegmentedWal.open({ directory, io });
    await last.truncateBefore(103);
    expect(last.append('and on')).toBe(103);
    await last.sync();
    expect(await lsns(last)).toEqual([103]);
    await last.close();
    await io.dispose();
  });

  test('a reader that has begun says WAL_TRUNCATED when what it comes to is gone', async () => {
    const { io, wal } = await filled();
    const iterator = wal.replay()[Symbol.asyncIterator]();
    expect((await iterator.next()).value).toMatchObject({ lsn: 1 });
    await wal.truncateBefore(wal.nextLsn);
    const rest = (async () => {
      while ((await iterator.next()).done !== true);
    })();
    await expect(rest).rejects.toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: 101 });
    await wal.close();
    await io.dispose();
  });
});

test('keeps what a hold in the checkpoint still needs', () => {
  const config = { segmentBytes: 1024 };
  const made = make({ groups: Array.from({ length: 20 }, () => [200]), config, close: true });
  const io = restore(made.files);
  const wal = openIn(io, config);
  wal.truncateBeforeSync(6);
  wal.closeSync();
  const path = join(DIRECTORY, 'checkpoint');
  const checkpoint = decodeCheckpoint(readFile(io, path), path);
  expect(checkpoint).toMatchObject({ checkpointLsn: 0, holds: {} });
  expect(checkpoint.firstSegment).toBeGreaterThan(1);
  writeFile(io, path, encodeCheckpoint({ ...checkpoint, holds: { late: 15, early: 9 } }));
  const held = openIn(io, config);
  held.truncateBeforeSync(held.nextLsn);
  expect(held.firstLsn).toBeLessThanOrEqual(9);
  expect(held.firstLsn).toBeGreaterThan(6);
  held.closeSync();
  expect(decodeCheckpoint(readFile(io, path), path).holds).toEqual({ late: 15, early: 9 });
});

test('an LSN that the application no longer needs, and that is gone, is no torn tail', () => {
  const config = { segmentBytes: 1 << 20 };
  const made = make({ groups: [[50], [60]], unsynced: [70], config });
  const io = restore(made.files);
  const path = join(DIRECTORY, 'checkpoint');
  const [name] = segmentNames(made.files) as [string];
  const { logId } = decodeSegmentHeader(made.files.get(name) as Uint8Array, name);
  writeFile(io, path, encodeCheckpoint({ logId, firstSegment: 1, checkpointLsn: 3, holds: {} }));
  const files = snapshot(io, DIRECTORY);
  const end = (files.get(name) as Uint8Array).length;
  expect(() => openIn(restore(changed(files, name, cut(end - 5))))).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', lsn: 3, reason: 'hole-before-checkpoint' }),
  );
  expect(openIn(restore(files)).nextLsn).toBe(4);
});

test('files below the first kept segment are leftovers of a crash, and removed', () => {
  const made = make({ groups: Array.from({ length: 20 }, () => [200]), config: { segmentBytes: 1024 }, close: true });
  const io = restore(made.files);
  const wal = openIn(io, { segmentBytes: 1024 });
  wal.truncateBeforeSync(12);
  const kept = wal.firstLsn;
  wal.closeSync();
  const crashed = new Map([...made.files, ...snapshot(io, DIRECTORY)]);
  const again = openIn(restore(crashed));
  expect(again.firstLsn).toBe(kept);
  expect([...again.replay()].map(({ lsn }) => lsn)).toEqual(range(kept, 20));
  again.closeSync();
  expect(again.io.list(DIRECTORY).filter((name) => name.startsWith('wal-'))).toHaveLength(again.listSegments().length);
});

test('a damaged or impossible checkpoint is refused, and so is one without a segment', () => {
  const made = make({ groups: Array.from({ length: 20 }, () => [200]), config: { segmentBytes: 1024 }, close: true });
  const io = restore(made.files);
  const wal = openIn(io, { segmentBytes: 1024 });
  wal.truncateBeforeSync(12);
  wal.closeSync();
  const files = snapshot(io, DIRECTORY);
  const bytes = files.get('checkpoint') as Uint8Array;
  for (let offset = 0; offset < bytes.length; offset++) {
    expect(() => openIn(restore(changed(files, 'checkpoint', flip(offset))))).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT', path: join(DIRECTORY, 'checkpoint') }),
    );
    expect(() => openIn(restore(changed(files, 'checkpoint', cut(offset))))).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT' }),
    );
  }
  const alone = new Map([['checkpoint', bytes]]);
  expect(() => openIn(restore(alone))).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }),
  );
  const free = new Map([['free-1.seg', new Uint8Array(512)]]);
  expect(() => openIn(restore(free))).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }),
  );
  const newest = new Map([...files].filter(([name]) => !name.startsWith('wal-')));
  const old = [...made.files].filter(([name]) => name.startsWith('wal-')).slice(0, 2);
  expect(() => openIn(restore(new Map([...newest, ...old])))).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }),
  );
});

test('on real files the space is really given back', async () => {
  const io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const wal = await SegmentedWal.open({ directory, io, segmentBytes: 64 * 1024, ...new TestEnvironment().options });
  for (let lsn = 1; lsn <= 1000; lsn++) wal.append(new Uint8Array(1000));
  await wal.sync();
  const used = (): number => io.list(directory).reduce((sum, name) => sum + io.stat(join(directory, name)).size, 0);
  const before = used();
  const { bytesReclaimed } = await wal.truncateBefore(900);
  expect(before - used()).toBeGreaterThan(bytesReclaimed - 1000);
  expect(bytesReclaimed).toBeGreaterThan(800_000);
  await wal.close();
  await io.dispose();
});

test.each([
  ['a checkpoint', 'checkpoint', 'checkpoint'],
  ['a freed segment', 'free-1.seg', 'wal-'],
])('%s without a segment is no new log: it is refused and left as it is', (_what, name, from) => {
  const io = restore(make({ groups: Array.from({ length: 20 }, () => [200]), config: { segmentBytes: 1024 } }).files);
  const wal = openIn(io, { segmentBytes: 1024 });
  wal.truncateBeforeSync(wal.nextLsn);
  wal.closeSync();
  const [, bytes] = [...snapshot(io, DIRECTORY)].find(([each]) => each.startsWith(from)) ?? [];
  const left = restore(new Map([[name, bytes as Uint8Array]]));
  expect(() => openIn(left)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }));
  expect([...snapshot(left, DIRECTORY).keys()]).toEqual([name]);
});
