import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';
import { fill, NO_SPACE, RING } from './support/full-disks.js';

/** On a full disk a log has room of its own: the reserve, freed files, segments that are truncated. */

const KINDS: readonly (readonly [string, SimulatedIoOptions])[] = [
  ['a backend that blocks', {}],
  ['a backend that takes its time', { completesInline: false }],
  ['a ring', RING],
];

describe.each(KINDS)('on %s', (_name, kind) => {
  const open = (disk: SimulatedDisk, seed = 1, more: Partial<SegmentedWalConfig> = {}): Promise<SegmentedWal> => {
    const environment = new TestEnvironment(seed).options;
    const sizes = { blockBytes: 512, segmentBytes: 4096, markAfterMs: 0, reserveBytes: 4096 };
    const io = disk.createStorageIo(kind);
    return SegmentedWal.open({ directory: '/log', io, ...sizes, preallocate: 'none', ...environment, ...more });
  };

  const append = (wal: SegmentedWal, records: number, bytes = 600): void => {
    for (let each = 0; each < records; each++) wal.append(new Uint8Array(bytes).fill(wal.nextLsn));
  };

  test('records that wait get the room of every segment that a truncation frees', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk, 1, { recycleSegments: 8 });
    append(wal, 24);
    await wal.sync();
    await turns(50);
    fill(disk);
    append(wal, 10);
    await expect(wal.sync()).rejects.toEqual(NO_SPACE);
    await wal.truncateBefore(wal.durableLsn);
    expect([wal.durableLsn, wal.stats().waitsForSpace]).toEqual([34, false]);
    expect(wal.io.list('/log').filter((name) => name.startsWith('free-'))).toEqual([]);
    await wal.close();
  });

  test('records that wait get the room of freed files, and none of the reserve', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk, 1, { recycleSegments: 8 });
    append(wal, 22);
    await wal.sync();
    await wal.truncateBefore(wal.lastLsn);
    await turns(50);
    expect(wal.io.list('/log').filter((name) => name.startsWith('free-')).length).toBeGreaterThan(1);
    fill(disk);
    // The segment has to grow, which takes no freed file.
    append(wal, 1, 1000);
    await expect(wal.sync()).rejects.toEqual(NO_SPACE);
    await wal.sync();
    expect([wal.durableLsn, wal.stats().waitsForSpace]).toEqual([23, false]);
    expect(wal.stats().reserve).toMatchObject({ state: 'ready', bytes: 4096, releases: 0 });
    await wal.close();
  });

  test('a hold that finds no room leaves no draft and the reserve as it was: a truncation behind it has room', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk, 1, { reserveBytes: 16 * 1024, recycleSegments: 0 });
    append(wal, 24);
    await wal.sync();
    await turns(50);
    fill(disk);
    // As where another program takes the room that the reserve gives up, and gives it back.
    disk.failWhen(({ kind: operation, path }) =>
      /write/.test(operation) && path.endsWith('checkpoint.new') ? 'ENOSPC' : undefined,
    );
    await expect(wal.hold('reader', 20)).rejects.toEqual(NO_SPACE);
    disk.failWhen(undefined);
    expect(wal.io.list('/log')).not.toContain('checkpoint.new');
    expect(wal.stats().reserve).toMatchObject({ state: 'ready', bytes: 16 * 1024 });
    append(wal, 20);
    await expect(wal.sync()).rejects.toEqual(NO_SPACE);
    expect((await wal.truncateBefore(20)).segmentsDeleted).toBeGreaterThan(0);
    expect(wal.failure).toBeUndefined();
    await wal.close();
  });

  test('a log that is dropped while a group is in flight takes the reserve for it', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk, 1, { reserveBytes: 64 * 1024 });
    append(wal, 12);
    await wal.sync();
    await turns(50);
    fill(disk);
    append(wal, 20);
    const synced = wal.sync().catch((error: unknown) => error);
    await wal.close({ discard: true });
    await synced;
    expect([wal.failure, wal.durableLsn]).toEqual([undefined, 32]);
    const again = await open(disk.crash(), 2);
    expect([again.recovery.cleanlyClosed, again.lastLsn]).toEqual([true, 32]);
    await again.close();
  });

  test('a log that goes on behind a clean close waits for room for its mark; a sync of the mark without room is final', async () => {
    for (const [failing, isFinal] of [
      [/write/, false],
      [/datasync/, true],
    ] as const) {
      const disk = new SimulatedDisk();
      const closed = await open(disk);
      append(closed, 3);
      await closed.close();
      const wal = await open(disk, 2);
      disk.failWhen(({ kind: operation, path }) =>
        failing.test(operation) && path.endsWith('.seg') ? 'ENOSPC' : undefined,
      );
      append(wal, 1);
      await expect(wal.sync()).rejects.toEqual(NO_SPACE);
      disk.failWhen(undefined);
      expect([wal.failure?.code, wal.stats().waitsForSpace]).toEqual([isFinal ? 'WAL_NO_SPACE' : undefined, !isFinal]);
      if (!isFinal) await wal.sync();
      await wal.close();
      expect((await open(disk.crash(), 3)).lastLsn).toBe(isFinal ? 3 : 4);
    }
  });
});
