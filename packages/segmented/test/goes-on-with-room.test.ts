import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { TestEnvironment } from './support/environments.js';
import { empty, fill, NO_SPACE, RING } from './support/full-disks.js';

/** Records that find no room on the disk stay in memory, and are written when there is some: the log is not opened again. */

const KINDS: readonly (readonly [string, SimulatedIoOptions, Partial<SegmentedWalConfig>])[] = [
  ['a backend that blocks', {}, {}],
  ['a backend that blocks, with durable writes', { durableWrites: true }, {}],
  ['a backend that takes its time', { completesInline: false }, {}],
  ['a backend with short writes', { completesInline: false, shortWrites: true }, {}],
  ['a ring', RING, { preallocate: 'none' }],
  ['a ring with one group at a time', RING, { preallocate: 'none', maxInFlight: 1 }],
  ['a ring with short writes', { ...RING, shortWrites: true }, { preallocate: 'none' }],
  ['a ring that prepares blocks', RING, {}],
];

const lsnsOf = async (wal: SegmentedWal): Promise<number[]> => {
  const lsns: number[] = [];
  for await (const { lsn, payload } of wal.replay()) {
    expect(payload[0]).toBe(lsn);
    lsns.push(lsn);
  }
  return lsns;
};

const upTo = (lsn: number): number[] => Array.from({ length: lsn }, (_, index) => index + 1);

describe.each(KINDS)('on %s', (_name, kind, options) => {
  const open = (disk: SimulatedDisk, seed = 1, more: Partial<SegmentedWalConfig> = {}): Promise<SegmentedWal> => {
    const environment = new TestEnvironment(seed).options;
    const sizes = { blockBytes: 512, segmentBytes: 4096, markAfterMs: 0, reserveBytes: 4096 };
    const io = disk.createStorageIo(kind);
    return SegmentedWal.open({ directory: '/log', io, ...sizes, ...environment, ...options, ...more });
  };

  const append = (wal: SegmentedWal, records: number, bytes = 600): void => {
    for (let each = 0; each < records; each++) wal.append(new Uint8Array(bytes).fill(wal.nextLsn));
  };

  /** A log with 12 durable records, on a disk that has so much room left; then it appends more, which find none. */
  async function onFullDisk(room = 0, more: Partial<SegmentedWalConfig> = {}) {
    const disk = new SimulatedDisk();
    const wal = await open(disk, 1, more);
    append(wal, 12);
    await wal.sync();
    await turns(50);
    fill(disk, room);
    append(wal, 20);
    await expect(wal.sync()).rejects.toEqual(NO_SPACE);
    await turns(50);
    // The calls that make room need it.
    expect(wal.stats().reserve.releases).toBe(0);
    return { disk, wal };
  }

  test.each([0, 512, 1024, 4096, 8192])(
    'with room for %i bytes they wait, and are written when there is more',
    async (room) => {
      const { disk, wal } = await onFullDisk(room);
      expect([wal.failure, wal.stats().waitsForSpace]).toEqual([undefined, true]);
      expect(() => wal.append('x')).toThrow(NO_SPACE);
      await expect(wal.sync()).rejects.toEqual(NO_SPACE);
      // What is written is read, at least what is durable.
      const { durableLsn } = wal;
      const read = await lsnsOf(wal);
      expect(read).toEqual(upTo(read.length));
      expect(read.length).toBeGreaterThanOrEqual(durableLsn);
      expect([durableLsn >= 12, durableLsn < 32]).toEqual([true, true]);

      empty(disk);
      await wal.sync();
      expect([wal.durableLsn, wal.stats().waitsForSpace, wal.pendingBytes]).toEqual([32, false, 0]);
      append(wal, 3);
      await wal.sync();
      expect(await lsnsOf(wal)).toEqual(upTo(35));
      expect(await lsnsOf(await open(disk.crash(), 3))).toEqual(upTo(35));
    },
  );

  test.each([0, 1024, 8192])(
    'a power cut while they wait, with room for %i bytes, loses nothing that is durable',
    async (room) => {
      const { disk, wal } = await onFullDisk(room);
      const { durableLsn } = wal;
      empty(disk);
      const again = await open(disk.crash(), 2);
      expect([again.lastLsn >= durableLsn, again.lastLsn <= 32]).toEqual([true, true]);
      expect(await lsnsOf(again)).toEqual(upTo(again.lastLsn));
      await again.close();
    },
  );

  test('a refused append alone finds out that there is room again', async () => {
    const { disk, wal } = await onFullDisk();
    empty(disk);
    expect(() => wal.append('x')).toThrow(NO_SPACE);
    await turns(200);
    append(wal, 1);
    await wal.sync();
    expect(await lsnsOf(await open(disk.crash(), 3))).toEqual(upTo(33));
  });

  test('a checkpoint and a truncation find room by the reserve, and make enough for the records', async () => {
    const { wal, disk } = await onFullDisk(0, { reserveBytes: 16 * 1024 });
    // No other call of the application is needed, and there is no more room than the removed segments had.
    await wal.checkpoint(12);
    await wal.truncateBefore(12);
    expect(wal.failure).toBeUndefined();
    disk.capacityBytes += 16 * 1024;
    await wal.truncateBefore(12);
    await wal.sync();
    expect([wal.durableLsn, wal.checkpointLsn, wal.stats().waitsForSpace]).toEqual([32, 12, false]);
    append(wal, 1);
    await wal.sync();
    const { firstLsn } = wal;
    expect(firstLsn).toBeGreaterThan(1);
    const again = await open(disk.crash(), 3);
    expect([again.firstLsn, again.lastLsn, again.checkpointLsn]).toEqual([firstLsn, 33, 12]);
  });

  test('emptying the log removes what is sealed with the reserve, and what waits is written in that room', async () => {
    const { disk, wal } = await onFullDisk();
    const { firstLsn, nextLsn } = wal;
    expect(wal.listSegments().length).toBeGreaterThan(1);
    const { segmentsDeleted, segmentsRecycled } = await wal.truncateBefore(nextLsn);
    expect(segmentsDeleted + segmentsRecycled).toBeGreaterThan(0);
    expect(wal.firstLsn).toBeGreaterThan(firstLsn);
    expect([wal.nextLsn, wal.failure]).toEqual([nextLsn, undefined]);
    empty(disk);
    await wal.sync();
    await wal.truncateBefore(wal.nextLsn);
    expect([wal.firstLsn, wal.durableLsn]).toEqual([nextLsn, nextLsn - 1]);
    const again = await open(disk.crash(), 3);
    expect([again.firstLsn, again.nextLsn]).toEqual([nextLsn, nextLsn]);
  });

  test('the LSN before a durable position is found, and that before one that waits when it is written', async () => {
    const { disk, wal } = await onFullDisk();
    const { durablePosition, durableLsn, position } = wal;
    expect(position).toBeGreaterThan(durablePosition);
    expect(await wal.lsnBefore(durablePosition)).toBe(durableLsn);
    await expect(wal.lsnBefore(position)).rejects.toEqual(NO_SPACE);
    await expect(wal.lsnBefore(position + 1)).rejects.toMatchObject({ code: 'WAL_RANGE' });
    empty(disk);
    expect(await wal.lsnBefore(position)).toBe(32);
  });

  test('a cut that needs what waits changes nothing', async () => {
    const { disk, wal } = await onFullDisk();
    const before = [wal.firstLsn, wal.nextLsn, wal.holds, wal.checkpointLsn];
    await expect(wal.truncateAfter(5)).rejects.toEqual(NO_SPACE);
    await expect(wal.resetTo(100)).rejects.toEqual(NO_SPACE);
    await expect(wal.checkpoint(32)).rejects.toEqual(NO_SPACE);
    await expect(wal.hold('ahead', 33)).rejects.toEqual(NO_SPACE);
    expect([wal.firstLsn, wal.nextLsn, wal.holds, wal.checkpointLsn, wal.failure]).toEqual([...before, undefined]);
    empty(disk);
    await wal.truncateAfter(5);
    expect(wal.append(new Uint8Array([6]))).toBe(6);
    await wal.sync();
    expect(await lsnsOf(await open(disk.crash(), 3))).toEqual(upTo(6));
  });

  test('a log that is closed meanwhile keeps what is durable, and says once that there was no room', async () => {
    for (const [discard, isReported] of [
      [false, true],
      [true, true],
      [false, false],
    ] as const) {
      const disk = new SimulatedDisk();
      const wal = await open(disk);
      append(wal, 12);
      await wal.sync();
      await turns(50);
      fill(disk);
      append(wal, 20);
      if (isReported) await expect(wal.sync()).rejects.toEqual(NO_SPACE);
      const closed = wal.close({ discard });
      if (isReported) await closed;
      else await expect(closed).rejects.toEqual(NO_SPACE);
      const { durableLsn } = wal;
      expect(wal.failure).toEqual(NO_SPACE);
      empty(disk);
      const again = await open(disk.crash(), 2);
      expect([again.lastLsn >= durableLsn, again.lastLsn <= 32]).toEqual([true, true]);
      expect(await lsnsOf(again)).toEqual(upTo(again.lastLsn));
      await again.close();
    }
  });

  test('a log that is closed takes the reserve for the last records', async () => {
    const { disk, wal } = await onFullDisk(0, { reserveBytes: 64 * 1024 });
    await wal.close();
    expect([wal.durableLsn, wal.failure]).toEqual([32, undefined]);
    const again = await open(disk.crash(), 2);
    expect([again.recovery.cleanlyClosed, await lsnsOf(again)]).toEqual([true, upTo(32)]);
    await again.close();
  });

  test('a log that is dropped meanwhile keeps what was handed to the operating system', async () => {
    const { disk, wal } = await onFullDisk(0, { reserveBytes: 64 * 1024 });
    await wal.close({ discard: true });
    expect(wal.failure).toBeUndefined();
    const again = await open(disk.crash(), 2);
    expect([again.recovery.cleanlyClosed, await lsnsOf(again)]).toEqual([true, upTo(again.lastLsn)]);
    expect(again.lastLsn).toBe(wal.durableLsn);
    await again.close();
  });

  test('no room for a sync is final: what it would have made durable is in doubt', async () => {
    const disk = new SimulatedDisk();
    const wal = await open(disk);
    append(wal, 3);
    await wal.flush();
    disk.failWhen(({ kind: operation }) => (operation === 'datasync' ? 'ENOSPC' : undefined));
    append(wal, 1);
    await expect(wal.sync()).rejects.toEqual(NO_SPACE);
    disk.failWhen(undefined);
    expect([wal.failure?.code, wal.stats().waitsForSpace]).toEqual(['WAL_NO_SPACE', false]);
    expect(() => wal.append('x')).toThrow(NO_SPACE);
    await wal.close();
  });

  test('an error of the disk while the records wait is final', async () => {
    const { disk, wal } = await onFullDisk();
    disk.failWhen(({ kind: operation }) => (/write|create/.test(operation) ? 'EIO' : undefined));
    await expect(wal.sync()).rejects.toMatchObject({ code: 'WAL_IO_FAILED' });
    disk.failWhen(undefined);
    expect(wal.failure?.code).toBe('WAL_IO_FAILED');
    await wal.close();
    empty(disk);
    const again = await open(disk.crash(), 2);
    expect(again.lastLsn).toBeGreaterThanOrEqual(wal.durableLsn);
    expect(await lsnsOf(again)).toEqual(upTo(again.lastLsn));
  });

  // From one operation on there is no room for some of them.
  test('wherever the room ends, nothing acknowledged is lost, and the log goes on or says that it has failed', async () => {
    const outcomes = new Set<string>();
    for (let at = 1; at < 60; at++) {
      for (const times of [1, 3, 1000]) {
        const disk = new SimulatedDisk({ seed: at });
        const wal = await open(disk, at, { preallocate: 'write' });
        let count = 0;
        disk.failWhen(({ kind: operation, path }) => {
          if (!/write|create|truncate|allocate|rename/.test(operation) || path.endsWith('.reserve')) return undefined;
          count++;
          return count >= at && count < at + times ? 'ENOSPC' : undefined;
        });
        const acknowledged = async (): Promise<void> => {
          for (let round = 0; round < 6; round++) {
            append(wal, 3, 700);
            await wal.sync();
          }
        };
        await acknowledged().catch((error: unknown) => expect(error).toEqual(NO_SPACE));
        await turns(30);
        const { durableLsn } = wal;
        disk.failWhen(undefined);
        outcomes.add(wal.failure === undefined ? (wal.stats().waitsForSpace ? 'waits' : 'goes on') : 'failed');
        // Each second time the log is left as it is.
        if (wal.failure === undefined && at % 2 === 0) {
          await wal.sync();
          append(wal, 1);
          await wal.sync();
          await wal.close();
          expect(wal.durableLsn).toBe(wal.lastLsn);
        }
        const last = Math.max(durableLsn, wal.durableLsn);
        const again = await open(disk.crash(), 98);
        expect(again.lastLsn, `${at}, ${times}`).toBeGreaterThanOrEqual(last);
        expect(await lsnsOf(again)).toEqual(upTo(again.lastLsn));
        await again.close();
      }
    }
    expect([...outcomes]).toEqual(expect.arrayContaining(['goes on', 'waits']));
  });
});
