import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { SegmentedWal, type WalRecord } from '@walstack/segmented';
import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';

const text = (record: WalRecord): string => Buffer.from(record.payload).toString();

const all = async (wal: SegmentedWal): Promise<WalRecord[]> => {
  const records: WalRecord[] = [];
  for await (const record of wal.replay()) records.push(record);
  return records;
};

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('gives back every record of 200,000, synced every 1,000 with each group padded to its block', async () => {
    const io = create();
    const directory = directoryFor(io);
    const payload = (lsn: number): string => `record ${lsn} `.padEnd(20 + (lsn % 100), '.');
    const wal = await SegmentedWal.open({ directory, io, padGroups: true, segmentBytes: 4 * 1024 * 1024 });
    for (let lsn = 1; lsn <= 200_000; lsn++) {
      wal.append(payload(lsn));
      if (lsn % 1000 === 0) await wal.sync();
    }
    expect(wal.durableLsn).toBe(200_000);
    await wal.close();

    const again = await SegmentedWal.open({ directory, io, padGroups: true });
    expect(again.nextLsn).toBe(200_001);
    expect(again.recovery).toMatchObject({ records: 200_000, firstLsn: 1, lastLsn: 200_000, cleanlyClosed: true });
    let expected = 1;
    for await (const record of again.replay({ copy: false })) {
      if (record.lsn !== expected || text(record) !== payload(expected)) throw new Error(`LSN ${expected} differs`);
      expected++;
    }
    expect(expected).toBe(200_001);
    await again.close();
    await io.dispose();
  });

  test('keeps type, meta, scope, time and payload of a record', async () => {
    const io = create();
    const directory = directoryFor(io);
    const environment = new TestEnvironment();
    const wal = await SegmentedWal.open({ directory, io, ...environment.options });
    environment.time += 1234;
    wal.append(Uint8Array.of(0, 1, 255), {
      type: 0xffff_ffff,
      meta: 'kopf ✓',
      tenantId: 2n ** 64n - 1n,
      databaseId: 7,
      vshardId: 0xffff_ffff,
    });
    wal.append('grüße', { vshardId: 0 });
    wal.append('');
    wal.append('the longest meta', { meta: new Uint8Array(65_535) });
    expect(() => wal.append('half a pair \ud800')).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    await wal.close();

    const again = await SegmentedWal.open({ directory, io });
    const records = await all(again);
    expect(records.map(text)).toEqual(['\0\x01�', 'grüße', '', 'the longest meta']);
    expect(records[0]).toMatchObject({
      lsn: 1,
      type: 0xffff_ffff,
      scope: { tenantId: 2n ** 64n - 1n, databaseId: 7n, vshardId: 0xffff_ffff },
      timestampMs: 1_700_000_001_234,
    });
    expect(Buffer.from(records[0]?.meta ?? []).toString()).toBe('kopf ✓');
    expect(records[1]?.scope).toEqual({ tenantId: 0n, databaseId: 0n, vshardId: 0 });
    expect(records[2]).toMatchObject({ lsn: 3, type: 0, scope: undefined });
    expect(records[2]?.meta.length).toBe(0);
    expect(records[3]?.meta.length).toBe(65_535);
    await again.close();
    await io.dispose();
  });

  test('rolls from segment to segment, and a record larger than a segment gets one of its own', async () => {
    const io = create();
    const directory = directoryFor(io);
    // A mark, which comes by the clock, would be pending bytes.
    const wal = await SegmentedWal.open({ directory, io, segmentBytes: 8192, blockBytes: 512, markAfterMs: 0 });
    const sizes = [3000, 3000, 3000, 50_000, 10, 2_000_000, 10, 10];
    for (const [index, size] of sizes.entries()) wal.append(new Uint8Array(size).fill(index));
    expect(wal.nextLsn).toBe(9);
    expect(wal.durableLsn).toBe(0);
    await wal.sync();
    expect(wal.durableLsn).toBe(8);
    wal.append('and on');
    await wal.sync();
    const segments = wal.listSegments();
    expect(segments.map(({ firstLsn, lastLsn }) => [firstLsn, lastLsn])).toEqual([
      [1, 2],
      [3, 3],
      [4, 4],
      [5, 5],
      [6, 6],
      [7, 9],
    ]);
    expect(segments.map(({ state }) => state)).toEqual(['sealed', 'sealed', 'sealed', 'sealed', 'sealed', 'active']);
    expect(wal.activeSegmentFirstLsn).toBe(7);
    expect(wal.totalSizeBytes()).toBe(segments.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
    expect(wal.stats()).toMatchObject({ records: 9, rolls: 5, segments: 6, pendingBytes: 0, backend: io.name });
    await wal.close();

    const again = await SegmentedWal.open({ directory, io });
    const records = await all(again);
    expect(records.map(({ payload }) => payload.length)).toEqual([...sizes, 6]);
    for (const [index] of sizes.entries()) {
      const payload = records[index]?.payload ?? new Uint8Array();
      expect(payload.every((byte) => byte === index)).toBe(true);
    }
    expect(again.listSegments().map(({ firstPosition }) => firstPosition)).toEqual(
      segments.map(({ firstPosition }) => firstPosition),
    );
    await again.close();
    await io.dispose();
  });

  test('goes on in the same segment after each opening, and changes nothing before the first append', async () => {
    const io = create();
    const directory = directoryFor(io);
    for (let life = 1; life <= 4; life++) {
      const wal = await SegmentedWal.open({ directory, io });
      expect(wal.listSegments()).toHaveLength(1);
      expect(wal.recovery.created).toBe(life === 1);
      wal.append(`life ${life}`);
      await wal.close();
    }
    for (let idle = 0; idle < 3; idle++) {
      const wal = await SegmentedWal.open({ directory, io });
      expect(wal.recovery).toMatchObject({ cleanlyClosed: true, records: 4, segments: 1 });
      expect(wal.durableLsn).toBe(4);
      await wal.close();
    }
    const names = io.list(directory).filter((name) => name.startsWith('wal-'));
    expect(names).toEqual(['wal-0000000001-00000000000000000001.seg']);
    const wal = await SegmentedWal.open({ directory, io });
    expect((await all(wal)).map(text)).toEqual(['life 1', 'life 2', 'life 3', 'life 4']);
    await wal.close();
    await io.dispose();
  });

  test('pages, and starts anywhere', async () => {
    const io = create();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io, segmentBytes: 8192, firstLsn: 1001 });
    for (let lsn = 1001; lsn <= 2000; lsn++) expect(wal.append(`${lsn}`)).toBe(lsn);
    expect(wal.firstLsn).toBe(1001);
    for (const from of [1001, 1002, 1234, 1999, 2000]) {
      const records: WalRecord[] = [];
      for await (const record of wal.replayFrom(from)) records.push(record);
      expect(records.map(text)).toEqual(Array.from({ length: 2001 - from }, (_, index) => `${from + index}`));
    }
    const page = await wal.replayFromLimit(1991, 5);
    expect([page.records.map(text), page.more]).toEqual([['1991', '1992', '1993', '1994', '1995'], true]);
    const last = await wal.replayFromLimit(1996, 5);
    expect([last.records.map(text), last.more]).toEqual([['1996', '1997', '1998', '1999', '2000'], false]);
    expect(await wal.replayFromLimit(2001, 5)).toEqual({ records: [], more: false });
    await wal.close();
    await io.dispose();
  });

  test('what is appended while a sync, a roll or a truncation waits is kept in order', async () => {
    const io = create();
    const directory = directoryFor(io);
    const wal = await SegmentedWal.open({ directory, io, segmentBytes: 8192, blockBytes: 512 });
    const payload = (lsn: number): string => `${lsn} `.padEnd(lsn % 700, 'x');
    const waiting: Promise<unknown>[] = [];
    for (let lsn = 1; lsn <= 3000; lsn++) {
      wal.append(payload(lsn));
      if (lsn % 7 === 0) waiting.push(wal.sync());
      if (lsn % 31 === 0) waiting.push(wal.flush());
      if (lsn % 501 === 0) waiting.push(wal.truncateBefore(wal.nextLsn));
      if (lsn % 13 === 0) await new Promise(setImmediate);
    }
    await Promise.all(waiting);
    await wal.close();
    const again = await SegmentedWal.open({ directory, io });
    expect(again.nextLsn).toBe(3001);
    expect(again.firstLsn).toBeGreaterThan(2000);
    let expected = again.firstLsn;
    for await (const record of again.replay()) {
      expect([record.lsn, text(record)]).toEqual([expected, payload(expected)]);
      expected++;
    }
    expect(expected).toBe(3001);
    await again.close();
    await io.dispose();
  });
});

describe('the synchronous twins', () => {
  test.each(['sync-fs', 'auto'] as const)('do the same without the event loop, on %s', (io) => {
    const directory = join(temporaryDirectory(), 'a', 'b', 'log');
    const wal = SegmentedWal.openSync({ directory, io, segmentBytes: 8192 });
    for (let lsn = 1; lsn <= 500; lsn++) wal.append(`${lsn}`.padEnd(100));
    wal.flushSync();
    // Where groups go side by side, what was handed over is durable.
    if (io === 'sync-fs') expect(wal.durableLsn).toBeLessThan(500);
    wal.syncSync();
    expect(wal.durableLsn).toBe(500);
    expect([...wal.replayFrom(498)].map(({ lsn }) => lsn)).toEqual([498, 499, 500]);
    expect(wal.replayFromLimitSync(1, 2)).toMatchObject({ more: true, records: [{ lsn: 1 }, { lsn: 2 }] });
    expect(wal.truncateBeforeSync(400).segmentsDeleted).toBeGreaterThan(0);
    wal.closeSync();
    wal.closeSync();
    const again = SegmentedWal.openSync({ directory });
    expect(again.recovery).toMatchObject({ cleanlyClosed: true, lastLsn: 500 });
    expect([...again.replay()].at(-1)?.lsn).toBe(500);
    again[Symbol.dispose]();
  });

  test('wait for what was begun asynchronously', async () => {
    const io = createSyncFsStorageIo();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io });
    wal.append('one');
    const pending = wal.sync();
    wal.append('two');
    wal.syncSync();
    expect(wal.durableLsn).toBe(2);
    await pending;
    await wal.close();
    await io.dispose();
  });

  test('are refused by a backend that cannot wait, with nothing done', async () => {
    const directory = join(temporaryDirectory(), 'log');
    expect(() => SegmentedWal.openSync({ directory, io: 'thread-pool' })).toThrow(
      expect.objectContaining({ code: 'WAL_UNSUPPORTED' }),
    );
    expect(existsSync(directory)).toBe(false);
    const wal = await SegmentedWal.open({ directory, io: 'thread-pool' });
    wal.append('x');
    for (const call of ['syncSync', 'flushSync', 'closeSync'] as const) {
      expect(() => wal[call]()).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
    }
    expect(() => [...wal.replay()]).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED' }));
    expect(wal.failure).toBeUndefined();
    await wal.sync();
    expect(wal.durableLsn).toBe(1);
    await wal.close();
  });
});

describe('reading', () => {
  const opened = async (io: StorageIo): Promise<SegmentedWal> => {
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io, segmentBytes: 8192 });
    for (let lsn = 1; lsn <= 1000; lsn++) wal.append(`${lsn}`);
    return wal;
  };

  test('goes up to what had been appended when it began', async () => {
    const io = createSyncFsStorageIo();
    const wal = await opened(io);
    let count = 0;
    for await (const _record of wal.replay()) {
      count++;
      wal.append('later');
    }
    expect(count).toBe(1000);
    await wal.close();
    await io.dispose();
  });

  test('copies by default, and views are valid for their record', async () => {
    const io = createSyncFsStorageIo();
    const wal = await opened(io);
    const kept = [...wal.replay()];
    expect(kept.map(text)).toEqual(Array.from({ length: 1000 }, (_, index) => `${index + 1}`));
    let lsn = 0;
    for (const record of wal.replay({ copy: false })) expect(text(record)).toBe(`${++lsn}`);
    await wal.close();
    await io.dispose();
  });

  test('closes its file when it is left in the middle, by break, throw and return', async () => {
    const io = createSyncFsStorageIo();
    const wal = await opened(io);
    const open: string[] = [];
    const originalOpen = io.open.bind(io);
    const originalClose = io.close.bind(io);
    io.open = (path, options) => {
      open.push(path);
      return originalOpen(path, options);
    };
    io.close = (file) => {
      open.splice(open.indexOf(file.path), 1);
      originalClose(file);
    };
    for (const _record of wal.replayFrom(500)) break;
    for await (const _record of wal.replayFrom(500)) break;
    expect(() => {
      for (const _record of wal.replay()) throw new Error('mine');
    }).toThrow('mine');
    await expect(
      wal.replay().forEach((record) => {
        if (record.lsn === 700) throw new Error('mine');
      }),
    ).rejects.toThrow('mine');
    expect(open).toEqual([]);
    await wal.close();
    await io.dispose();
  });
});
