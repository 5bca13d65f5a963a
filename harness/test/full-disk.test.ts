import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { ringSupport } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { rejection, thrown } from '../test-kit/outcomes.js';
import { onSmallDisk, payload } from './support/on-small-disk.js';

/** What docs/operations.md says of a full disk, on a real file system that is filled to the last block. Needs root. */

const BACKENDS = ['thread-pool', 'sync-fs', ...(ringSupport().available ? (['io-uring'] as const) : [])] as const;

const OPTIONS = { segmentBytes: 64 * 1024, preallocate: 'write', markAfterMs: 0 } as const;

await onSmallDisk((disk) => {
  /** Commits until the disk is full to the last block. @returns the last LSN that was acknowledged */
  async function fillBrim(wal: Wal): Promise<number> {
    let acknowledged = wal.durableLsn;
    for (let filled = 0; ; filled++) {
      disk().fill();
      try {
        for (;;) acknowledged = await wal.commit(payload(wal.lastLsn + 1));
      } catch (error) {
        expect(error).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' });
      }
      // What the log has given up meanwhile is taken as well.
      if (filled === 3) return acknowledged;
    }
  }

  const expectAll = async (wal: Wal, lastLsn: number): Promise<void> => {
    let lsn = wal.firstLsn;
    await wal.replay('first', (event) => {
      expect([event.lsn, event.payload.every((byte) => byte === lsn % 251)]).toEqual([lsn, true]);
      lsn++;
    });
    expect(lsn).toBe(lastLsn + 1);
  };

  describe.each(BACKENDS)('%s', (io) => {
    test('a checkpoint and a truncation have room, and the log goes on without being opened again', async () => {
      const path = join(disk().path, 'log');
      const wal = await Wal.open(path, { io, ...OPTIONS });
      while (wal.stats().segments < 8) await wal.commit(payload(wal.lastLsn + 1));
      expect(wal.stats().reserve).toEqual({ state: 'ready', bytes: 64 * 1024, releases: 0 });
      const acknowledged = await fillBrim(wal);
      expect([wal.state, wal.stats().waitsForSpace, existsSync(join(path, '.reserve'))]).toEqual([
        'running',
        true,
        true,
      ]);
      expect(thrown(() => wal.append('x'))).toMatchObject({ code: 'WAL_NO_SPACE' });
      expect(await rejection(wal.sync())).toMatchObject({ code: 'WAL_NO_SPACE' });
      expect(wal.durableLsn).toBe(acknowledged);

      await wal.hold('reader', acknowledged - 40);
      await wal.checkpoint(acknowledged - 30);
      const { segmentsDeleted } = await wal.truncateBefore(acknowledged - 20);
      expect(segmentsDeleted).toBeGreaterThan(0);
      expect([wal.stats().reserve.releases >= 1, wal.state]).toEqual([true, 'running']);

      const { lastLsn } = wal;
      await wal.durable(lastLsn);
      expect(wal.durableLsn).toBe(lastLsn);
      expect(await wal.commit(payload(lastLsn + 1))).toBe(lastLsn + 1);
      expect(wal.stats().waitsForSpace).toBe(false);
      await wal.shutdown();

      const again = await Wal.open(path, { io, ...OPTIONS });
      expect(again.recovery).toMatchObject({ cleanlyClosed: true, lastLsn: lastLsn + 1 });
      expect([again.checkpointLsn, again.holds]).toEqual([acknowledged - 30, { reader: acknowledged - 40 }]);
      expect(again.firstLsn).toBeLessThanOrEqual(acknowledged - 40);
      await expectAll(again, lastLsn + 1);
      await again.shutdown();
    });

    test('without a reserve they are refused with nothing changed, and the log goes on when there is room', async () => {
      const path = join(disk().path, 'log');
      const wal = await Wal.open(path, { io, ...OPTIONS, reserveBytes: 0 });
      while (wal.stats().segments < 8) await wal.commit(payload(wal.lastLsn + 1));
      const acknowledged = await fillBrim(wal);
      const { firstLsn } = wal;
      expect(await rejection(wal.checkpoint(acknowledged))).toMatchObject({ code: 'WAL_NO_SPACE' });
      expect(await rejection(wal.truncateBefore(acknowledged))).toMatchObject({ code: 'WAL_NO_SPACE' });
      expect([wal.checkpointLsn, wal.firstLsn, wal.state]).toEqual([0, firstLsn, 'running']);
      disk().leave(2 * 1024 * 1024);
      const { lastLsn } = wal;
      await wal.durable(lastLsn);
      expect(wal.durableLsn).toBe(lastLsn);
      await wal.checkpoint(acknowledged);
      await wal.shutdown();
      const again = await Wal.open(path, { io, ...OPTIONS });
      expect([again.lastLsn, again.checkpointLsn]).toEqual([lastLsn, acknowledged]);
      await expectAll(again, lastLsn);
      await again.shutdown();
    });

    test('a log that is closed on a full disk has everything that was acknowledged', async () => {
      const path = join(disk().path, 'log');
      const wal = await Wal.open(path, { io, ...OPTIONS });
      while (wal.stats().segments < 3) await wal.commit(payload(wal.lastLsn + 1));
      const acknowledged = await fillBrim(wal);
      const reader = await Wal.open(path, { io, recoveryMode: 'readonly' });
      expect(reader.lastLsn).toBeGreaterThanOrEqual(acknowledged);
      await expectAll(reader, reader.lastLsn);
      await reader.shutdown();
      await wal.close({ discard: true });
      const again = await Wal.open(path, { io, ...OPTIONS });
      expect(again.lastLsn).toBeGreaterThanOrEqual(acknowledged);
      await expectAll(again, again.lastLsn);
      await again.shutdown();
    });
  });

  test('the calls that block have room as well', () => {
    const path = join(disk().path, 'log');
    const wal = SegmentedWal.openSync({ directory: path, io: 'sync-fs', ...OPTIONS });
    while (wal.stats().segments < 8) {
      wal.append(payload(wal.nextLsn));
      wal.syncSync();
    }
    for (let filled = 0; filled < 3; filled++) {
      disk().fill();
      expect(() => {
        for (;;) {
          wal.append(payload(wal.nextLsn));
          wal.syncSync();
        }
      }).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    }
    const { durableLsn, lastLsn } = wal;
    wal.holdSync('reader', durableLsn - 30);
    wal.checkpointSync(durableLsn);
    expect(wal.truncateBeforeSync(durableLsn).segmentsDeleted).toBeGreaterThan(0);
    wal.syncSync();
    expect([wal.durableLsn, wal.failure]).toEqual([lastLsn, undefined]);
    wal.closeSync();
    const again = SegmentedWal.openSync({ directory: path, io: 'sync-fs' });
    expect([again.lastLsn, again.checkpointLsn, again.recovery.cleanlyClosed]).toEqual([lastLsn, durableLsn, true]);
    again.closeSync();
  });

  test('two logs that compete for the last blocks lose nothing, and both go on', async () => {
    const logs = await Promise.all(
      ['one', 'two'].map((name) => Wal.open(join(disk().path, name), { io: 'thread-pool', ...OPTIONS })),
    );
    for (const wal of logs) while (wal.stats().segments < 6) await wal.commit(payload(wal.lastLsn + 1));
    const acknowledged = await Promise.all(logs.map(fillBrim));
    // Each may take what the other one has given up, until segments are removed.
    const truncate = async (wal: Wal, lsn: number): Promise<void> => {
      await wal.checkpoint(lsn);
      await wal.truncateBefore(lsn);
    };
    const results = await Promise.allSettled(logs.map((wal, index) => truncate(wal, acknowledged[index] as number)));
    expect(results.map(({ status }) => status)).toContain('fulfilled');
    for (const [index, wal] of logs.entries()) {
      await truncate(wal, acknowledged[index] as number);
      const { lastLsn } = wal;
      await wal.durable(lastLsn);
      expect(wal.durableLsn).toBe(lastLsn);
      await wal.shutdown();
      const again = await Wal.open(join(disk().path, index === 0 ? 'one' : 'two'), { io: 'thread-pool' });
      await expectAll(again, lastLsn);
      await again.shutdown();
    }
  });
});
