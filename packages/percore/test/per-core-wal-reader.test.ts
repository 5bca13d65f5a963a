import { cpSync, readdirSync, readFileSync, readlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CoreEntry, CoreWalWriter, PerCoreWalReader } from '@walstack/percore';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, MemoryDisk, ringSupport } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { coded } from './support/errors.js';
import { contentOf } from './support/fixtures.js';

async function all(reader: PerCoreWalReader): Promise<CoreEntry[]> {
  const entries: CoreEntry[] = [];
  for await (const entry of reader) entries.push(entry);
  return entries;
}

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('reads while the writer appends, without a lock, and continues with new entries', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const writer = await CoreWalWriter.open(6, directory, { io, segmentBytes: 8192 });
    writer.appendPut('a', '1');
    await writer.flush();
    await using reader = await PerCoreWalReader.open(6, directory, { io });
    expect((await all(reader)).map(contentOf)).toEqual([['put', 'a', '1']]);
    expect(reader.stopReason).not.toBeUndefined();
    for (let entry = 0; entry < 30; entry++) writer.appendPut(`k${entry}`, 'x'.repeat(1000));
    await writer.sync();
    expect((await all(reader)).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 30 }, (_, index) => index + 2),
    );
    expect(reader.nextLsn).toBe(32);
    await writer.close();
    expect(await all(reader)).toEqual([]);
    expect(reader.stopReason).toBe('end');
  });
});

test.runIf(ringSupport().available)('closes the backend that it has opened itself', async () => {
  const directory = temporaryDirectory();
  await (await CoreWalWriter.open(0, directory, { io: 'sync-fs' })).close();
  const rings = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => {
      try {
        return readlinkSync(join('/proc/self/fd', fd)).includes('io_uring');
      } catch {
        return false;
      }
    }).length;
  const before = rings();
  const reader = await PerCoreWalReader.open(0, directory, { io: 'io-uring' });
  expect(rings()).toBeGreaterThan(before);
  await reader.close();
  expect(rings()).toBe(before);
});

test('reads from an LSN up to an epoch', () => {
  const io = createMemoryStorageIo();
  const writer = CoreWalWriter.openSync(0, '/log', { io });
  for (let epoch = 1; epoch <= 3; epoch++) {
    writer.appendPut(`in ${epoch}`, '');
    writer.appendEpochBarrier();
  }
  writer.closeSync();
  const reader = PerCoreWalReader.openSync(0, '/log', { io, toEpoch: 2, from: 2 });
  expect([...reader].map(contentOf)).toEqual([
    ['epochBarrier', 1],
    ['put', 'in 2', ''],
    ['epochBarrier', 2],
  ]);
  expect([reader.stopReason, reader.advanceSync()]).toEqual(['epoch', false]);
});

describe('the reason at the end of the log', () => {
  /** A log on real files that was killed with two entries: its directory, its one segment, and where the second one is. */
  function killed(): { readonly directory: string; readonly segment: string; readonly second: number } {
    const made = temporaryDirectory();
    const writer = CoreWalWriter.openSync(0, made, { io: 'sync-fs', markAfterMs: 0 });
    writer.appendPut('first', 'x'.repeat(100));
    writer.syncSync();
    const second = 4096 + writer.position;
    writer.appendPut('second', 'x'.repeat(100));
    writer.flushSync();
    const directory = temporaryDirectory();
    cpSync(join(made, 'core-0'), join(directory, 'core-0'), { recursive: true });
    writer.closeSync();
    const names = readdirSync(join(directory, 'core-0'));
    const name = names.find((each) => each.endsWith('.seg')) as string;
    return { directory, segment: join(directory, 'core-0', name), second };
  }

  const read = (directory: string): { readonly keys: unknown[]; readonly stop: unknown } => {
    using reader = PerCoreWalReader.openSync(0, directory, { io: 'sync-fs' });
    const keys = [...reader].map((entry) => (contentOf(entry) as string[])[1]);
    return { keys, stop: reader.stopReason };
  };

  test('the end', () => {
    const { directory } = killed();
    expect(read(directory)).toEqual({ keys: ['first', 'second'], stop: 'end' });
  });

  test('a torn frame', () => {
    const { directory, segment, second } = killed();
    truncateSync(segment, second + 60);
    expect(read(directory)).toEqual({ keys: ['first'], stop: 'torn' });
  });

  test('a wrong checksum', () => {
    const { directory, segment, second } = killed();
    const bytes = readFileSync(segment);
    bytes[second + 50] = (bytes[second + 50] as number) ^ 1;
    writeFileSync(segment, bytes);
    expect(read(directory)).toEqual({ keys: ['first'], stop: 'checksum' });
  });

  test('an unreadable acknowledged entry is thrown', () => {
    const { directory, segment } = killed();
    const bytes = readFileSync(segment);
    // The first record: the second one proves that it was durable.
    bytes[4096 + 50] = (bytes[4096 + 50] as number) ^ 1;
    writeFileSync(segment, bytes);
    const reader = PerCoreWalReader.openSync(0, directory, { io: 'sync-fs' });
    expect(() => [...reader]).toThrow(coded('WAL_CORRUPT'));
    expect(reader.stopReason).toBe('corrupt');
  });
});

test('an entry that is written while the end of the log is examined is not taken for damage', () => {
  let last = false;
  for (let turn = 1; !last; turn++) {
    const disk = new MemoryDisk();
    const io = createMemoryStorageIo({ disk });
    const writer = CoreWalWriter.openSync(0, '/log', { io });
    writer.appendPut('first', '');
    writer.syncSync();
    let calls = Number.NEGATIVE_INFINITY;
    const beside = new Proxy(createMemoryStorageIo({ disk }), {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]): unknown => {
          if (++calls === turn) {
            writer.appendPut('second', '');
            writer.syncSync();
          }
          return value.apply(target, args);
        };
      },
    });
    const reader = PerCoreWalReader.openSync(0, '/log', { io: beside });
    const keys = (): unknown[] => [...reader].map((entry) => (contentOf(entry) as string[])[1]);
    expect(keys()).toEqual(['first']);
    calls = 0;
    const seen = keys();
    expect([turn, reader.stopReason]).toEqual([turn, 'end']);
    last = calls < turn;
    calls = Number.NEGATIVE_INFINITY;
    expect([...seen, ...keys()]).toEqual(last ? [] : ['second']);
    reader[Symbol.dispose]();
    writer.closeSync();
    expect(turn).toBeLessThan(200);
  }
});

test('the end of a log whose segment has earlier contents behind it is examined without reading the segment twice', () => {
  const MIB = 1024 * 1024;
  const io = createMemoryStorageIo();
  const writer = CoreWalWriter.openSync(0, '/log', { io, segmentBytes: 4 * MIB });
  for (let entry = 0; entry < 300; entry++) writer.appendPut('k', 'x'.repeat(10_000));
  writer.syncSync();
  const name = io.list('/log/core-0').find((each) => each.endsWith('.seg')) as string;
  const file = io.open(`/log/core-0/${name}`);
  const end = io.size(file);
  io.submitWrite(file, new Uint8Array(4 * MIB - end).fill(0xa5), end);
  io.close(file);
  const reader = PerCoreWalReader.openSync(0, '/log', { io });
  expect([...reader]).toHaveLength(300);
  const { bytesRead } = io.stats();
  expect([reader.advanceSync(), reader.stopReason]).toEqual([false, 'torn']);
  expect(io.stats().bytesRead - bytesRead).toBeLessThan(5 * MIB);
});

test('an unreadable entry remains the next one, and the reader reports it', () => {
  const io = createMemoryStorageIo();
  const writer = CoreWalWriter.openSync(0, '/log', { io });
  writer.appendPut('first', '');
  writer.closeSync();
  const wal = SegmentedWal.openSync({ directory: '/log/core-0', coreId: 0, io });
  for (const bogus of ['no entry', 'another one']) wal.append(bogus);
  wal.closeSync();
  const reader = PerCoreWalReader.openSync(0, '/log', { io });
  expect(reader.advanceSync()).toBe(true);
  const last = wal.lastLsn - 2;
  for (let lsn = 1; lsn <= last; lsn++) {
    let entry = reader.next();
    if (entry === undefined && reader.advanceSync()) entry = reader.next();
    expect(entry?.sequence).toBe(lsn);
  }
  for (let round = 0; round < 3; round++) {
    expect(() => [...reader]).toThrow(coded('WAL_CORRUPT', { lsn: last + 1 }));
    expect([reader.stopReason, reader.nextLsn, reader.resumePoint?.lsn]).toEqual(['corrupt', last + 1, last + 1]);
  }
});

test('the end of the log is found while a writer removes the segment that it was in', () => {
  let calls = 0;
  for (let at = 1; at <= Math.max(1, calls); at++) {
    const io = createMemoryStorageIo();
    const writer = CoreWalWriter.openSync(0, '/log', { io, segmentBytes: 4096, blockBytes: 512, recycleSegments: 0 });
    const fill = (): void => {
      for (let entry = 0; entry < 30; entry++) writer.appendPut('k', 'x'.repeat(500));
      writer.syncSync();
    };
    fill();
    let isWatched = false;
    calls = 0;
    const beside = new Proxy(io, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          if (isWatched && (name === 'open' || name === 'list') && ++calls === at) {
            fill();
            writer.truncateBeforeSync(writer.lastLsn);
          }
          return value.apply(target, args) as unknown;
        };
      },
    });
    const reader = PerCoreWalReader.openSync(0, '/log', { io: beside });
    while (reader.next() !== undefined || reader.advanceSync());
    isWatched = true;
    try {
      while (reader.advanceSync()) while (reader.next() !== undefined);
      expect(reader.stopReason).toBe('end');
    } catch (error) {
      expect(error).toMatchObject({ code: 'WAL_TRUNCATED' });
    }
    writer.closeSync();
  }
  expect(calls).toBeGreaterThan(3);
});

test('a missing log, the log of another core, and wrong arguments are reported', async () => {
  const io = createMemoryStorageIo();
  CoreWalWriter.openSync(1, '/log', { io }).closeSync();
  io.rename('/log/core-1', '/log/core-2');
  await expect(PerCoreWalReader.open(1, '/log', { io })).rejects.toEqual(coded('WAL_NOT_FOUND'));
  await expect(PerCoreWalReader.open(2, '/log', { io })).rejects.toEqual(
    coded('WAL_BAD_HEADER', { reason: 'other-core' }),
  );
  expect(() => PerCoreWalReader.openSync(-1, '/log', { io })).toThrow(RangeError);
  expect(() => PerCoreWalReader.openSync(2, '/log', { io, toEpoch: -1 })).toThrow(RangeError);
  expect(() => PerCoreWalReader.openSync(2, '/log', { io, epoch: 1 } as object)).toThrow(TypeError);
});

test('a header that cannot be read is damage', async () => {
  const directory = temporaryDirectory();
  await (await CoreWalWriter.open(0, directory, { io: 'sync-fs' })).close();
  const log = join(directory, 'core-0');
  const segment = join(log, readdirSync(log).find((name) => name.endsWith('.seg')) as string);
  writeFileSync(segment, Buffer.alloc(4096, 1));
  const damaged = coded('WAL_CORRUPT', { reason: 'header', path: segment });
  await expect(PerCoreWalReader.open(0, directory, { io: 'sync-fs' })).rejects.toEqual(damaged);
});
