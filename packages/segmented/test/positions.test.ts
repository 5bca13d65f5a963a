import type { Lsn } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';
import { readFile } from './support/files.js';
import { NO_SPACE, RING } from './support/full-disks.js';
import { recordsOf } from './support/logs.js';

const open = (io: StorageIo, config: Partial<SegmentedWalConfig> = {}): SegmentedWal =>
  SegmentedWal.openSync({ directory: '/log', io, blockBytes: 512, ...new TestEnvironment().options, ...config });

/** Where each record ends in the log, by its LSN: worked out from the files. */
function endsOf(io: StorageIo, wal: SegmentedWal): Map<number, { start: number; end: number }> {
  const places = new Map<number, { start: number; end: number }>();
  for (const { path, firstPosition } of wal.listSegments()) {
    for (const { lsn, start, end, mark } of recordsOf(readFile(io, path))) {
      if (!mark) places.set(lsn, { start: firstPosition + start - 512, end: firstPosition + end - 512 });
    }
  }
  return places;
}

describe('positions', () => {
  test('match the files, across segments, padding and reopenings', () => {
    const io = createMemoryStorageIo();
    const positions = new Map<number, number>();
    for (const padGroups of [false, true, false]) {
      const wal = open(io, { segmentBytes: 2048, padGroups });
      for (let group = 0; group < 6; group++) {
        for (let record = 0; record < 3; record++) {
          const lsn = wal.append('x'.repeat((group * 37 + record * 101) % 400));
          positions.set(lsn, wal.position);
        }
        wal.syncSync();
        expect(wal.durablePosition).toBe(wal.position);
      }
      wal.closeSync();
    }
    const wal = open(io);
    const places = endsOf(io, wal);
    expect(places.size).toBe(54);
    for (const [lsn, position] of positions) expect([lsn, position]).toEqual([lsn, places.get(lsn)?.end]);
    wal.closeSync();
  });

  test('the durable one stays behind what is only written', () => {
    const wal = open(createMemoryStorageIo());
    wal.append('a');
    wal.syncSync();
    const durable = wal.durablePosition;
    wal.append('b');
    wal.flushSync();
    expect(wal.durablePosition).toBe(durable);
    expect(wal.position).toBeGreaterThan(durable);
    wal.syncSync();
    expect(wal.durablePosition).toBe(wal.position);
  });

  test.each(BACKENDS)('are durable when a sync resolves, on %s', async (_name, create) => {
    await using io = create();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io, segmentBytes: 16 * 1024, markAfterMs: 0 });
    for (let round = 0; round < 20; round++) {
      wal.append('x'.repeat(1500));
      const { position } = wal;
      await wal.sync();
      expect(wal.durablePosition).toBeGreaterThanOrEqual(position);
      expect(wal.durablePosition).toBe(wal.position);
    }
    expect(wal.listSegments().length).toBeGreaterThan(1);
    await wal.close();
  });
});

/** The log goes on in the segment before it: its next record begins in the same block. */
describe.each([
  ['a backend that blocks', {}],
  ['a backend that takes its time', { completesInline: false }],
  ['a ring', RING],
])('positions behind a roll that finds no room, on %s', (_name, kind) => {
  const openOn = (disk: SimulatedDisk, seed = 1): Promise<SegmentedWal> => {
    const environment = new TestEnvironment(seed).options;
    const io = disk.createStorageIo(kind);
    return SegmentedWal.open({
      directory: '/log',
      io,
      blockBytes: 512,
      markAfterMs: 0,
      reserveBytes: 0,
      ...environment,
    });
  };

  /** A log with one durable record, on a disk without room for one kind of operation on the file of the next segment. */
  async function withoutRoomTo(failing: 'create' | 'rename') {
    const disk = new SimulatedDisk();
    const wal = await openOn(disk);
    wal.append(new Uint8Array(100));
    await wal.sync();
    await turns(50);
    disk.failWhen(({ kind: operation, path }) =>
      operation === failing && path.endsWith('next.seg') ? 'ENOSPC' : undefined,
    );
    return { disk, wal };
  }

  test('the durable one is not behind what is durable', async () => {
    const { disk, wal } = await withoutRoomTo('rename');
    const { durablePosition } = wal;
    await expect(wal.truncateBefore(wal.nextLsn)).rejects.toEqual(NO_SPACE);
    disk.failWhen(undefined);
    expect([wal.failure, wal.durablePosition, wal.position]).toEqual([undefined, durablePosition, durablePosition]);
    wal.append(new Uint8Array(10));
    expect(wal.position).toBeGreaterThan(wal.durablePosition);
    expect((await openOn(disk.crash(), 2)).lastLsn).toBe(1);
  });

  test.each(['create', 'rename'] as const)('none falls, and each is found: %s', async (failing) => {
    const { disk, wal } = await withoutRoomTo(failing);
    const seen = [wal.position];
    let outcome: unknown;
    const settled = wal.truncateBefore(wal.nextLsn).then(
      () => ({}),
      (error: unknown) => error,
    );
    void settled.then((error) => {
      outcome = error;
    });
    while (outcome === undefined) {
      seen.push(wal.position);
      await turns(1);
    }
    expect(outcome).toEqual(NO_SPACE);
    disk.failWhen(undefined);
    seen.push(wal.position);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
    wal.append(new Uint8Array(1000));
    await wal.sync();
    for (const position of seen) expect(await wal.lsnBefore(position)).toBe(1);
    await wal.truncateBefore(wal.nextLsn);
    expect(wal.durablePosition).toBe(wal.position);
    await wal.close();
  });
});

describe('lsnBefore', () => {
  test('finds the last record before each position, and refuses those inside a frame', async () => {
    const io = createMemoryStorageIo();
    const wal = open(io, { segmentBytes: 1536 });
    for (let record = 0; record < 12; record++) wal.append('x'.repeat(record * 23));
    wal.syncSync();
    const places = endsOf(io, wal);
    for (let position = 0; position <= wal.position; position++) {
      const frames = [...places].filter(([, { start, end }]) => start < position && position < end);
      if (frames.length > 0) {
        expect(() => wal.lsnBeforeSync(position)).toThrow(expect.objectContaining({ code: 'WAL_RANGE' }));
        continue;
      }
      const before = [...places].filter(([, { end }]) => end <= position).map(([lsn]) => lsn);
      expect(wal.lsnBeforeSync(position)).toBe(Math.max(0, ...before));
    }
    expect(await wal.lsnBefore(wal.position)).toBe(12);
  });

  test('refuses what is past the end, what was removed, and what is no position', async () => {
    const wal = open(createMemoryStorageIo(), { segmentBytes: 1024 });
    const positions = [1, 2, 3].map(() => {
      wal.append('x'.repeat(700));
      return wal.position;
    });
    const past = { code: 'WAL_RANGE', actual: wal.position + 1, limit: wal.position, reason: 'past-the-end' };
    await expect(wal.lsnBefore(wal.position + 1)).rejects.toMatchObject(past);
    await wal.truncateBefore(3);
    const removed = { code: 'WAL_TRUNCATED', firstLsn: 3 };
    expect(() => wal.lsnBeforeSync(positions[0] as number)).toThrow(expect.objectContaining(removed));
    expect(wal.lsnBeforeSync(positions[2] as number)).toBe(3);
    expect(() => wal.lsnBeforeSync(-1)).toThrow(RangeError);
    expect(() => wal.lsnBeforeSync('0' as unknown as number)).toThrow(TypeError);
  });
});

describe('a position outlives the log that gave it', () => {
  test('after a clean close, whatever the last block holds, and again after the next one', () => {
    for (const padGroups of [false, true]) {
      for (const bytes of [0, 10, 200, 471, 472, 473, 900]) {
        const io = createMemoryStorageIo();
        const given: [position: number, lsn: number][] = [];
        for (let life = 0; life < 4; life++) {
          const wal = open(io, { padGroups });
          given.push([wal.position, wal.lastLsn]);
          if (life !== 2) wal.append('x'.repeat(bytes));
          given.push([wal.position, wal.lastLsn]);
          wal.syncSync();
          for (const [position, lsn] of given) expect([position, wal.lsnBeforeSync(position)]).toEqual([position, lsn]);
          expect(() => wal.lsnBeforeSync(wal.position + 1)).toThrow(
            expect.objectContaining({ code: 'WAL_RANGE', limit: wal.position }),
          );
          wal.closeSync();
        }
      }
    }
  });

  test('also one of a segment that holds nothing but a mark', async () => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment();
    const wal = open(io, environment.options);
    wal.append('a');
    wal.syncSync();
    // Emptied, it goes on in a segment without a record.
    wal.truncateBeforeSync(2);
    const { position } = wal;
    environment.fire();
    await wal.sync();
    expect([wal.position, wal.durablePosition]).toEqual([position, position]);
    wal.closeSync();
    const again = open(io);
    expect([again.position, again.lsnBeforeSync(position)]).toEqual([position, 1]);
    again.append('b');
    expect(again.lsnBeforeSync(position)).toBe(1);
    again.closeSync();
  });
});

describe('a submitted sync', () => {
  test.each(BACKENDS)('is done when it says so, on %s', async (_name, create) => {
    await using io = create();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io });
    wal.append('a');
    const lsn = wal.submitSync();
    expect(lsn).toBe(1);
    wal.append('b');
    while (!wal.checkCompletions(lsn)) {
      // A thread pool answers between the turns of the event loop; the others need none.
      if (!io.capabilities.canWait) await new Promise(setImmediate);
    }
    expect(wal.durableLsn).toBeGreaterThanOrEqual(1);
    await wal.close();
  });

  test('that fails says so, and nothing is accepted any more', () => {
    const io = createMemoryStorageIo();
    const wal = open(io);
    wal.append('a');
    io.submitWrite = () => {
      throw new Error('broken');
    };
    const lsn = wal.submitSync();
    const failed = expect.objectContaining({ code: 'WAL_IO_FAILED' });
    expect(() => wal.checkCompletions(lsn)).toThrow(failed);
    expect(() => wal.append('b')).toThrow(failed);
    expect(() => wal.submitSync()).toThrow(failed);
    wal.closeSync();
    expect(() => wal.submitSync()).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
  });
});

describe('a sync without a promise', () => {
  test.each(BACKENDS)('tells when what was appended before it is durable, on %s', async (_name, create) => {
    await using io = create();
    const wal = await SegmentedWal.open({ directory: directoryFor(io), io });
    const durable: [Lsn, unknown][] = [];
    const began = [1, 2, 3].map((lsn) => {
      wal.append(`record ${lsn}`);
      return new Promise<void>((resolve) => {
        wal.startSync((failure) => {
          durable.push([lsn, failure]);
          expect(wal.durableLsn).toBeGreaterThanOrEqual(lsn);
          resolve();
        });
      });
    });
    await Promise.all(began);
    expect(durable.map(([lsn]) => lsn).sort()).toEqual([1, 2, 3]);
    expect(durable.every(([, failure]) => failure === undefined)).toBe(true);
    await wal.close();
  });

  test('tells a failure, and that the log is closed', () => {
    const io = createMemoryStorageIo();
    const wal = open(io);
    wal.append('a');
    io.submitWrite = () => {
      throw new Error('broken');
    };
    const failures: unknown[] = [];
    wal.startSync((failure) => failures.push(failure));
    wal.startSync((failure) => failures.push(failure));
    wal.closeSync();
    wal.startSync((failure) => failures.push(failure));
    expect(failures).toEqual([
      expect.objectContaining({ code: 'WAL_IO_FAILED' }),
      expect.objectContaining({ code: 'WAL_IO_FAILED' }),
      expect.objectContaining({ code: 'WAL_CLOSED' }),
    ]);
  });
});

describe('a log of a core', () => {
  test('says so in every segment, and is refused to another core', () => {
    const io = createMemoryStorageIo();
    const wal = open(io, { coreId: 7, segmentBytes: 1024 });
    for (let record = 0; record < 4; record++) wal.append('x'.repeat(600));
    wal.closeSync();
    const refused = expect.objectContaining({ code: 'WAL_BAD_HEADER', reason: 'other-core' });
    expect(() => open(io, { coreId: 8 })).toThrow(refused);
    const again = open(io);
    again.append('x');
    again.syncSync();
    expect(again.coreId).toBe(7);
    const cores = again.listSegments().map(({ path }) => new DataView(readFile(io, path).buffer).getUint32(72, true));
    expect(cores).toEqual(cores.map(() => 8));
    expect(cores.length).toBeGreaterThan(3);
    again.closeSync();
    open(io, { coreId: 7 }).closeSync();
  });

  test('is no log of none', () => {
    const io = createMemoryStorageIo();
    open(io).closeSync();
    const refused = expect.objectContaining({ code: 'WAL_BAD_HEADER', reason: 'other-core' });
    expect(() => open(io, { coreId: 0 })).toThrow(refused);
    expect(() => open(io, { coreId: -1 })).toThrow(RangeError);
    expect(() => open(io, { coreId: '0' as unknown as number })).toThrow(TypeError);
    expect(open(io).coreId).toBeUndefined();
  });
});

describe('a reader', () => {
  test('ends at a record that cannot be decoded, however often it is asked', async () => {
    turnsByLooks(0);
    const io = createMemoryStorageIo();
    const written = open(io, { compression: { codec: 'deflate' } });
    for (const payload of ['a', 'b'.repeat(50_000), 'c']) written.append(payload);
    written.closeSync();
    const wal = open(io, { maxPayloadBytes: 1000 });
    const reader = await wal.openReader('first');
    expect(await runAsync(io, reader.advance())).toBe(true);
    expect(reader.next()?.lsn).toBe(1);
    for (let call = 0; call < 3; call++) {
      expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
      await expect(runAsync(io, reader.advance())).rejects.toEqual(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
    }
    reader.close();
    wal.closeSync();
  });

  test('reads inside a routine, in the thread or on the event loop', async () => {
    const io = createMemoryStorageIo();
    const wal = open(io, { segmentBytes: 1024 });
    for (let record = 0; record < 10; record++) wal.append('x'.repeat(300));
    const found: number[] = [];
    const reader = wal.openReaderSync(3);
    while (runSync(io, reader.advance())) {
      for (let record = reader.next(); record !== undefined; record = reader.next()) found.push(record.lsn);
    }
    reader.close();
    expect(found).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
    const first = await wal.openReader('first', { copy: false });
    expect(await runAsync(io, first.advance())).toBe(true);
    expect(first.next()?.lsn).toBe(1);
    first.close();
    expect(() => wal.openReaderSync(12)).toThrow(RangeError);
    wal.closeSync();
  });
});
