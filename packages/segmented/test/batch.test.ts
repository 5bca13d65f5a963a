import { Batch, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { BACKENDS } from './support/environments.js';
import { changed, cut, restore, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, recordsOf, texts } from './support/logs.js';

const batchOf = (payloads: readonly string[]): Batch => {
  const batch = new Batch();
  for (const payload of payloads) batch.add(payload);
  return batch;
};

const numbered = (prefix: string, count: number, bytes = 0): string[] =>
  Array.from({ length: count }, (_, index) => `${prefix} ${index} `.padEnd(bytes, '.'));

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('a batch gets LSNs one behind the other, and is durable and read back like any records', async () => {
    const io = create();
    const directory = directoryFor(io);
    const wal = await SegmentedWal.open({ directory, io });
    wal.append('before');
    const batch = new Batch()
      .add('debit', { type: 1, meta: 'account 7', tenantId: 3 })
      .add(Uint8Array.of(1, 2, 3))
      .add('');
    expect(wal.appendBatch(batch)).toBe(4);
    expect(wal.append('behind')).toBe(5);
    expect(wal.durableLsn).toBe(0);
    await wal.sync();
    expect(wal.durableLsn).toBe(5);
    await wal.close();

    const again = await SegmentedWal.open({ directory, io });
    const { records } = await again.replayFromLimit(1, 10);
    expect(records.map(({ lsn, payload }) => [lsn, Buffer.from(payload).toString('latin1')])).toEqual([
      [1, 'before'],
      [2, 'debit'],
      [3, '\x01\x02\x03'],
      [4, ''],
      [5, 'behind'],
    ]);
    expect(records[1]).toMatchObject({ type: 1, scope: { tenantId: 3n, databaseId: 0n, vshardId: 0 } });
    expect(Buffer.from(records[1]?.meta ?? []).toString()).toBe('account 7');
    await again.close();
    await io.dispose();
  });

  test('batches of all sizes lie in one segment each, the large ones in one of their own size', async () => {
    const io = create();
    const directory = directoryFor(io);
    const wal = await SegmentedWal.open({ directory, io, segmentBytes: 8192, blockBytes: 512 });
    const batches = [
      numbered('small', 3, 100),
      numbered('half', 40, 100),
      numbered('does not fit behind', 40, 100),
      numbered('larger than a segment', 300, 100),
      numbered('larger than a piece of memory', 3, 600_000),
      numbered('small again', 2),
    ];
    const ranges = batches.map((payloads) => {
      const first = wal.nextLsn;
      return [first, wal.appendBatch(batchOf(payloads))] as const;
    });
    await wal.sync();
    expect(wal.durableLsn).toBe(ranges.at(-1)?.[1]);
    const segments = wal.listSegments();
    for (const [first, last] of ranges) {
      const holder = segments.filter(({ firstLsn, lastLsn = 0 }) => firstLsn <= last && lastLsn >= first);
      expect(holder).toHaveLength(1);
    }
    expect(segments.length).toBeGreaterThan(4);
    await wal.close();
    const again = await SegmentedWal.open({ directory, io });
    const found: string[] = [];
    for await (const { payload } of again.replay()) found.push(Buffer.from(payload).toString());
    expect(found).toEqual(batches.flat());
    await again.close();
    await io.dispose();
  });
});

describe('a batch', () => {
  const open = (config = {}) => openIn(createMemoryStorageIo(), { directory: DIRECTORY, ...config });

  test('knows how many records it has, and of how many bytes', () => {
    const batch = new Batch();
    expect([batch.length, batch.sizeBytes, batch.isSpent]).toEqual([0, 0, false]);
    batch.add('1234567890', { meta: 'ab' });
    expect([batch.length, batch.sizeBytes]).toEqual([1, 44]);
    batch.add('', { tenantId: 1 });
    expect([batch.length, batch.sizeBytes]).toEqual([2, 44 + 56]);
  });

  test('holds copies of what it was given', () => {
    const payload = Buffer.from('as it was');
    const meta = Buffer.from('so too');
    const batch = new Batch().add(payload, { meta });
    payload.fill(0);
    meta.fill(0);
    const wal = open();
    wal.appendBatch(batch);
    wal.syncSync();
    const [record] = wal.replayFromLimitSync(1, 1).records;
    expect(Buffer.from(record?.payload ?? []).toString()).toBe('as it was');
    expect(Buffer.from(record?.meta ?? []).toString()).toBe('so too');
    wal.closeSync();
  });

  test('is spent once it was appended, and its clone is not', () => {
    const wal = open();
    const batch = batchOf(['a', 'b']);
    const before = batch.clone();
    expect(wal.appendBatch(batch)).toBe(2);
    expect([batch.isSpent, batch.length, before.isSpent]).toEqual([true, 2, false]);
    expect(() => wal.appendBatch(batch)).toThrow(expect.objectContaining({ code: 'WAL_STATE', state: 'spent' }));
    expect(() => batch.add('c')).toThrow(expect.objectContaining({ code: 'WAL_STATE', state: 'spent' }));
    expect(() => batch.take()).toThrow(expect.objectContaining({ code: 'WAL_STATE', state: 'spent' }));
    expect(wal.nextLsn).toBe(3);
    const behind = batch.clone().add('c');
    expect([behind.length, behind.sizeBytes, batch.length]).toEqual([3, 99, 2]);
    expect(wal.appendBatch(before)).toBe(4);
    expect(wal.appendBatch(behind)).toBe(7);
    expect(texts(wal.replay())).toEqual(['a', 'b', 'a', 'b', 'a', 'b', 'c']);
    wal.closeSync();
  });

  test('refused for what it is or for lack of room is not spent, and nothing of it was appended', () => {
    const wal = open({ maxPayloadBytes: 1000, maxPendingBytes: 2000 });
    const refused = (batch: Batch, error: object): void => {
      expect(() => wal.appendBatch(batch)).toThrow(expect.objectContaining(error));
      expect([batch.isSpent, wal.nextLsn]).toEqual([false, next]);
    };
    let next = 1;
    refused(new Batch(), { code: 'WAL_EMPTY_BATCH' });
    const large = new Batch().add('x').add(new Uint8Array(1001));
    refused(large, { code: 'WAL_TOO_LARGE', actual: 1001, limit: 1000 });
    // As with a record, one batch always has room, however large it is.
    expect(wal.appendBatch(batchOf(numbered('all at once', 10, 400)))).toBe(10);
    next = 11;
    const small = batchOf(['y', 'z']);
    refused(small, { code: 'WAL_BACKPRESSURE', limit: 2000 });
    wal.flushSync();
    expect(wal.appendBatch(small)).toBe(12);
    wal.closeSync();
    next = 13;
    refused(batchOf(['too late']), { code: 'WAL_CLOSED' });
  });

  test.each([undefined, null, [], {}, 'batch'])('that is none is refused: %s', (value) => {
    const wal = open();
    expect(() => wal.appendBatch(value as never)).toThrow(
      expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' }),
    );
    wal.closeSync();
  });

  test('refuses wrong records, and stays as it was', () => {
    const batch = batchOf(['a']);
    const typeError = expect.objectContaining({ name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
    expect(() => batch.add(7 as never)).toThrow(typeError);
    expect(() => batch.add('x', { kind: 1 } as never)).toThrow(typeError);
    expect(() => batch.add('x', { type: -1 })).toThrow(expect.objectContaining({ code: 'ERR_OUT_OF_RANGE' }));
    expect(() => batch.add('x', { meta: new Uint8Array(65_536) })).toThrow(
      expect.objectContaining({ code: 'WAL_TOO_LARGE', actual: 65_536, limit: 65_535 }),
    );
    expect(batch.length).toBe(1);
  });

  test('that would need more LSNs than there are is refused', () => {
    const wal = open({ firstLsn: Number.MAX_SAFE_INTEGER - 2 });
    const batch = batchOf(['a', 'b', 'c']);
    expect(() => wal.appendBatch(batch)).toThrow(expect.objectContaining({ code: 'WAL_RANGE' }));
    expect(batch.isSpent).toBe(false);
    expect(wal.appendBatch(batchOf(['a', 'b']))).toBe(Number.MAX_SAFE_INTEGER - 1);
    wal.closeSync();
  });
});

describe('a batch at the end of a log that was killed', () => {
  const KINDS = [
    ['padded groups', { padGroups: true }],
    ['groups without padding', {}],
  ] as const;

  test.each(KINDS)('is there whole or not at all wherever the file ends, with %s', (_kind, config) => {
    const io = createMemoryStorageIo();
    const wal = openIn(io, config);
    wal.append('single');
    wal.appendBatch(batchOf(['durable 1', 'durable 2']));
    wal.syncSync();
    wal.appendBatch(batchOf(numbered('perhaps', 8, 150)));
    wal.append('behind it');
    wal.flushSync();
    const files = snapshot(io, DIRECTORY);
    const [name] = segmentNames(files) as [string];
    const bytes = files.get(name) as Uint8Array;
    const records = recordsOf(bytes).filter(({ mark }) => !mark);
    const flags = records.map(({ start }) => (bytes[start + 26] as number) & 1);
    expect(flags).toEqual([0, 1, 0, ...Array.from({ length: 7 }, () => 1), 0, 0]);
    const durableEnd = records[2]?.end as number;
    const seen = new Set<number>();
    for (let length = durableEnd; length <= bytes.length; length++) {
      const restored = restore(changed(files, name, cut(length)));
      const again = openIn(restored, config);
      const found = texts(again.replay());
      seen.add(found.length);
      expect(found).toEqual(
        ['single', 'durable 1', 'durable 2', ...numbered('perhaps', 8, 150), 'behind it'].slice(0, found.length),
      );
      again.append('goes on');
      again.syncSync();
      again.closeSync();
    }
    expect([...seen].sort((a, b) => a - b)).toEqual([3, 11, 12]);
  });

  test('is corruption when it had been acknowledged', () => {
    const io = createMemoryStorageIo();
    const wal = openIn(io);
    wal.appendBatch(batchOf(['acknowledged 1', 'acknowledged 2']));
    wal.syncSync();
    wal.append('proof');
    wal.flushSync();
    const files = snapshot(io, DIRECTORY);
    const [name] = segmentNames(files) as [string];
    const second = recordsOf(files.get(name) as Uint8Array)[1]?.start as number;
    const damaged = changed(files, name, (bytes) => bytes.fill(0, second, second + 8));
    expect(() => openIn(restore(damaged))).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', lsn: 2 }));
  });

  test('is discarded whole when only its last record is missing, and stays away for good', () => {
    const io = createMemoryStorageIo();
    const wal = openIn(io);
    wal.append('kept');
    wal.syncSync();
    wal.appendBatch(batchOf(numbered('lost', 5)));
    wal.flushSync();
    const files = snapshot(io, DIRECTORY);
    const [name] = segmentNames(files) as [string];
    const last = recordsOf(files.get(name) as Uint8Array).at(-1)?.start as number;
    let restored = restore(changed(files, name, cut(last)));
    for (let opening = 0; opening < 3; opening++) {
      const again = openIn(restored);
      expect([texts(again.replay()), again.nextLsn, again.recovery.cutBytes > 0]).toEqual([['kept'], 2, opening === 0]);
      restored = restore(snapshot(restored, DIRECTORY));
    }
  });
});
