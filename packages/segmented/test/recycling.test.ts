import { linkSync, readFileSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSegmentHeader, WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  MemoryDisk,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { TestEnvironment } from './support/environments.js';
import { readFile, writeFile } from './support/files.js';
import { DIRECTORY } from './support/logs.js';

const CONFIG = { segmentBytes: 4096, blockBytes: 512, preallocate: 'write', recycleSegments: 2 } as const;

function openOn(disk: MemoryDisk, config: Partial<SegmentedWalConfig> = {}) {
  const io = createMemoryStorageIo({ disk });
  const wal = SegmentedWal.openSync({
    directory: DIRECTORY,
    io,
    ...new TestEnvironment().options,
    ...CONFIG,
    ...config,
  });
  return { io, wal };
}

function fill(wal: SegmentedWal, records: number): void {
  for (let record = 0; record < records; record++) {
    wal.append(`payload ${wal.nextLsn}`.padEnd(300));
    wal.syncSync();
  }
}

const freeFiles = (names: readonly string[]): string[] => names.filter((name) => name.startsWith('free-'));

const texts = (wal: SegmentedWal): string[] =>
  [...wal.replay()].map(({ payload }) => Buffer.from(payload).toString().trim());

const expected = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `payload ${from + index}`);

describe('a freed segment', () => {
  test('is kept under another name, and becomes the next segment with an id of its own', () => {
    const { io, wal } = openOn(new MemoryDisk());
    fill(wal, 60);
    const ids = new Set(wal.listSegments().map(({ id }) => id));
    const count = ids.size;
    const result = wal.truncateBeforeSync(40);
    expect(result.segmentsRecycled).toBe(2);
    expect(result.segmentsDeleted).toBe(count - wal.listSegments().length - 2);
    expect(freeFiles(io.list(DIRECTORY))).toHaveLength(2);
    fill(wal, 60);
    expect(wal.stats().recycled).toBe(2);
    expect(freeFiles(io.list(DIRECTORY))).toEqual([]);
    for (const { id } of wal.listSegments().filter(({ firstLsn }) => firstLsn > 60)) expect(ids.has(id)).toBe(false);
    expect(texts(wal)).toEqual(expected(wal.firstLsn, 120));
    wal.closeSync();
  });

  test('is recognized as a new segment in its file when a killed log is opened again', () => {
    const disk = new MemoryDisk();
    const { wal } = openOn(disk);
    fill(wal, 60);
    wal.truncateBeforeSync(40);
    const { firstLsn } = wal;
    fill(wal, 20);
    expect(wal.stats().recycled).toBeGreaterThan(0);
    wal.append('never synced');
    // The log is left as it is, as if its process had been killed.
    const files = createMemoryStorageIo({ disk });
    const copy = new MemoryDisk();
    const target = createMemoryStorageIo({ disk: copy });
    target.makeDirectory(DIRECTORY);
    for (const name of files.list(DIRECTORY).filter((each) => each !== 'LOCK')) {
      const file = target.open(join(DIRECTORY, name), { create: true });
      target.submitWrite(file, readFile(files, join(DIRECTORY, name)), 0);
    }
    const again = openOn(copy);
    expect(again.wal.recovery).toMatchObject({ firstLsn, lastLsn: 80 });
    expect(texts(again.wal)).toEqual(expected(firstLsn, 80));
    again.wal.closeSync();
  });

  test.each([
    ['padded groups', true],
    ['groups without padding', false],
  ])(
    'that was reused and closed cleanly is recognized: no byte of its earlier segment is taken for a torn tail, with %s',
    (_what, padGroups) => {
      for (let records = 20; records <= 40; records++) {
        const disk = new MemoryDisk();
        const { wal } = openOn(disk, { padGroups });
        fill(wal, 60);
        wal.truncateBeforeSync(40);
        // Older bytes of the file stand behind wherever the log comes to its end.
        fill(wal, records);
        expect(wal.stats().recycled).toBeGreaterThan(0);
        wal.closeSync();
        const again = openOn(disk, { padGroups }).wal;
        expect(again.recovery).toMatchObject({ cleanlyClosed: true, cutBytes: 0, lastLsn: 60 + records });
        again.closeSync();
      }
    },
  );

  test('is kept for reuse when the log is opened again', () => {
    const disk = new MemoryDisk();
    const first = openOn(disk);
    fill(first.wal, 60);
    first.wal.truncateBeforeSync(60);
    first.wal.closeSync();
    expect(freeFiles(first.io.list(DIRECTORY))).toHaveLength(2);
    const { wal } = openOn(disk);
    fill(wal, 40);
    expect(wal.stats().recycled).toBe(2);
    wal.closeSync();
  });

  test.each(['allocate', 'write'] as const)(
    'that ends inside a block is reused with direct I/O (%s)',
    async (preallocate) => {
      const disk = new SimulatedDisk();
      const first = disk.createStorageIo();
      const config = { directory: DIRECTORY, ...CONFIG, padGroups: false, preallocate };
      const before = SegmentedWal.openSync({
        ...config,
        preallocate: 'none',
        io: first,
        ...new TestEnvironment().options,
      });
      fill(before, 60);
      before.truncateBeforeSync(60);
      before.closeSync();
      const sizes = freeFiles(first.list(DIRECTORY)).map((name) => readFile(first, join(DIRECTORY, name)).length);
      expect(sizes.map((size) => size % 512 === 0)).toEqual([false, false]);

      const io = disk.createStorageIo({
        completesInline: false,
        overlappedWrites: true,
        durableWrites: true,
        directAlignment: 512,
      });
      const wal = await SegmentedWal.open({ ...config, io, ...new TestEnvironment().options });
      fill(wal, 60);
      expect(wal.stats()).toMatchObject({ directIo: true, recycled: 2 });
      expect(texts(wal)).toEqual(expected(wal.firstLsn, 120));
      await wal.close();
    },
  );

  test('is not preallocated again: its blocks are allocated', () => {
    const { io, wal } = openOn(new MemoryDisk());
    fill(wal, 60);
    wal.truncateBeforeSync(40);
    const zeros: string[] = [];
    const { submitWrite } = io;
    Object.defineProperty(io, 'submitWrite', {
      value: (...args: Parameters<typeof submitWrite>) => {
        if (args[1].every((byte) => byte === 0)) zeros.push(args[0].path);
        return submitWrite.apply(io, args);
      },
    });
    while (wal.stats().recycled < 2) fill(wal, 1);
    expect(zeros).toEqual([]);
    wal.closeSync();
  });

  test('is removed when a reader holds a lock on its file', () => {
    const { io, wal } = openOn(new MemoryDisk());
    fill(wal, 60);
    for (const { path } of wal.listSegments()) expect(io.lockFile(io.open(path), 'shared')).toBe(true);
    expect(wal.truncateBeforeSync(40).segmentsRecycled).toBe(0);
    expect(freeFiles(io.list(DIRECTORY))).toEqual([]);
    wal.closeSync();
  });

  test.each([0, 1])('is kept up to recycleSegments: %i', (recycleSegments) => {
    const { io, wal } = openOn(new MemoryDisk(), { recycleSegments });
    fill(wal, 60);
    expect(wal.truncateBeforeSync(40).segmentsRecycled).toBe(recycleSegments);
    wal.truncateBeforeSync(60);
    expect(freeFiles(io.list(DIRECTORY))).toHaveLength(recycleSegments);
    wal.closeSync();
  });

  test('whose old id has the same checksum as the new one is not reused', () => {
    const disk = new MemoryDisk();
    const { io, wal } = openOn(disk);
    fill(wal, 60);
    wal.truncateBeforeSync(wal.nextLsn);
    wal.closeSync();
    const [free] = freeFiles(io.list(DIRECTORY));
    const id = decodeSegmentHeader(readFile(io, join(DIRECTORY, free as string)), 'free').segmentId;
    const again = openOn(disk, { randomBytes: () => id.slice(), recycleSegments: 1 });
    again.wal.append('on');
    again.wal.syncSync();
    expect(again.wal.stats().recycled).toBe(0);
    again.wal.closeSync();
  });
});

test('a reader of a segment that is overwritten meanwhile says WAL_TRUNCATED, and never WAL_CORRUPT', () => {
  const { wal } = openOn(new MemoryDisk(), { segmentBytes: 1 << 20, maxPayloadBytes: 1 << 22 });
  // Larger than what is read at once.
  for (let record = 0; record < 12; record++) wal.append(new Uint8Array(200_000).fill(record + 1));
  wal.syncSync();
  const iterator = wal.replay()[Symbol.iterator]();
  expect(iterator.next().value?.lsn).toBe(1);
  wal.truncateBeforeSync(wal.nextLsn);
  for (let record = 0; record < 12; record++) wal.append(new Uint8Array(200_000).fill(100 + record));
  wal.syncSync();
  expect(wal.stats().recycled).toBeGreaterThan(0);
  expect(() => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
      expect(next.value.payload[0]).toBe(next.value.lsn);
    }
  }).toThrow(expect.objectContaining({ code: 'WAL_TRUNCATED' }));
  wal.closeSync();
});

/** A good backend, a few of whose members are replaced. */
function altered(io: StorageIo, changes: Partial<StorageIo>): StorageIo {
  return new Proxy(io, {
    get(target, name) {
      if (name in changes) return changes[name as keyof StorageIo];
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

const REAL: readonly (readonly [string, () => StorageIo])[] = [
  ['sync-fs', createSyncFsStorageIo],
  ...(ringSupport().available ? ([['io-uring', createIoUringStorageIo]] as const) : []),
];

describe.each(REAL)('a file with another name, on %s', (_name, create) => {
  const opened = () => {
    const io = create();
    const directory = temporaryDirectory();
    const wal = SegmentedWal.openSync({ directory, io, ...new TestEnvironment().options, ...CONFIG });
    return { io, directory, wal };
  };

  test.runIf(createSyncFsStorageIo().capabilities.fileLocks)('is recycled when that name is gone', async () => {
    const { io, directory, wal } = opened();
    fill(wal, 60);
    for (const [index, { path }] of wal.listSegments().entries()) {
      linkSync(path, join(directory, `copy-${index}`));
      unlinkSync(join(directory, `copy-${index}`));
    }
    expect(wal.truncateBeforeSync(40).segmentsRecycled).toBe(2);
    wal.closeSync();
    await io.dispose();
  });

  test('keeps its bytes whatever the log does', async () => {
    const { io, directory, wal } = opened();
    const aside = temporaryDirectory();
    fill(wal, 60);
    const copies = wal.listSegments().map(({ path }, index) => {
      const copy = join(aside, `${index}`);
      linkSync(path, copy);
      return { copy, bytes: readFileSync(path) };
    });
    expect(wal.truncateBeforeSync(wal.nextLsn)).toMatchObject({ segmentsRecycled: 0 });
    fill(wal, 120);
    wal.closeSync();
    // The newest of them was still being written when its link was made.
    for (const { copy, bytes } of copies.slice(0, -1)) expect(readFileSync(copy).equals(bytes)).toBe(true);
    expect(freeFiles(io.list(directory))).toEqual([]);
    await io.dispose();
  });

  test('keeps them also when it got that name after it was freed', async () => {
    const { io, directory, wal } = opened();
    const aside = temporaryDirectory();
    fill(wal, 60);
    wal.truncateBeforeSync(40);
    const copies = freeFiles(io.list(directory)).map((name) => {
      linkSync(join(directory, name), join(aside, name));
      return { copy: join(aside, name), bytes: readFileSync(join(directory, name)) };
    });
    fill(wal, 120);
    wal.closeSync();
    expect(wal.stats().recycled).toBe(0);
    for (const { copy, bytes } of copies) expect(readFileSync(copy).equals(bytes)).toBe(true);
    await io.dispose();
  });
});

test.each([
  ['has no such call', { links: undefined }],
  ['cannot tell', { links: () => undefined }],
])('nothing is recycled where the backend %s how many names a file has', (_what, changes) => {
  const io = altered(createMemoryStorageIo(), changes as Partial<StorageIo>);
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...CONFIG });
  fill(wal, 60);
  expect(wal.truncateBeforeSync(40)).toMatchObject({ segmentsRecycled: 0, segmentsDeleted: expect.any(Number) });
  expect(freeFiles(io.list(DIRECTORY))).toEqual([]);
  wal.closeSync();
});

test('nothing is recycled where the file system has no locks on open files', () => {
  const lockFile = (): boolean => {
    throw new WalError('WAL_UNSUPPORTED', 'no locks here');
  };
  const io = altered(createMemoryStorageIo(), { lockFile });
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...CONFIG });
  fill(wal, 60);
  expect(wal.truncateBeforeSync(40).segmentsRecycled).toBe(0);
  wal.closeSync();
});

describe('a free file', () => {
  const afterTruncation = (config: Partial<SegmentedWalConfig> = {}) => {
    const { io, wal } = openOn(new MemoryDisk(), config);
    fill(wal, 60);
    wal.truncateBeforeSync(40);
    expect(freeFiles(io.list(DIRECTORY))).toHaveLength(2);
    return { io, wal };
  };

  test.each(['write', 'none'] as const)('that was removed is not missed (%s)', (preallocate) => {
    const { io, wal } = afterTruncation({ preallocate });
    for (const name of freeFiles(io.list(DIRECTORY))) io.submitRemove(join(DIRECTORY, name));
    fill(wal, 60);
    expect(wal.stats().recycled).toBe(0);
    expect(texts(wal)).toEqual(expected(wal.firstLsn, 120));
    wal.closeSync();
  });

  test('of which a directory has the name is left alone', () => {
    const { io, wal } = afterTruncation();
    for (const name of freeFiles(io.list(DIRECTORY))) {
      io.submitRemove(join(DIRECTORY, name));
      io.makeDirectory(join(DIRECTORY, name));
    }
    fill(wal, 60);
    expect(texts(wal)).toEqual(expected(wal.firstLsn, 120));
    expect(freeFiles(io.list(DIRECTORY))).toHaveLength(2);
    wal.closeSync();
  });

  test.each(['99999999999999999999', '9007199254740991', '1', '007'])('may have the number %s', (number) => {
    const disk = new MemoryDisk();
    const first = openOn(disk);
    fill(first.wal, 60);
    first.wal.closeSync();
    writeFile(first.io, join(DIRECTORY, `free-${number}.seg`), new Uint8Array(4096));
    const { io, wal } = openOn(disk, { recycleSegments: 8 });
    fill(wal, 60);
    wal.truncateBeforeSync(100);
    wal.truncateBeforeSync(wal.nextLsn);
    expect(wal.listSegments()).toHaveLength(1);
    expect(io.list(DIRECTORY).filter((name) => name.startsWith('wal-'))).toHaveLength(1);
    fill(wal, 60);
    expect(texts(wal)).toEqual(expected(121, 180));
    wal.closeSync();
  });
});

describe('what a killed process still writes', () => {
  test.each([1, 2, 3, 4, 5])('lands in no later segment in the file, with seed %i', async (seed) => {
    const disk = new SimulatedDisk({ seed });
    const slow = { completesInline: false, overlappedWrites: true, durableWrites: true, latencyTicks: 1_000_000 };
    const quick = { ...slow, latencyTicks: 2 };
    const options = { ...CONFIG, recycleSegments: 20, markAfterMs: 0 };
    const config = { directory: DIRECTORY, ...new TestEnvironment().options, ...options };
    const before = SegmentedWal.openSync({ ...config, io: disk.createStorageIo(quick) });
    fill(before, 20);
    before.closeSync();
    const killed = SegmentedWal.openSync({ ...config, io: disk.createStorageIo(slow) });
    fill(killed, 5);
    // Several writes of one file, none of which has ended when the process does.
    for (let record = 0; record < 4; record++) {
      killed.append('from the killed process'.padEnd(600));
      killed.submitSync();
    }
    disk.kill();
    const io = disk.createStorageIo(quick);
    const wal = SegmentedWal.openSync({ ...config, io });
    const files = wal.listSegments().map(({ path }) => path);
    fill(wal, 30);
    const result = wal.truncateBeforeSync(wal.nextLsn);
    expect(files.length).toBeGreaterThan(1);
    expect(result.segmentsDeleted).toBeGreaterThanOrEqual(files.length - 1);
    const firstLsn = wal.nextLsn;
    fill(wal, 60);
    const last = wal.lastLsn;
    // Until everything has landed that ever will.
    for (let turn = 0; turn < 100; turn++) await new Promise((resolve) => setImmediate(resolve));
    disk.kill();
    const again = SegmentedWal.openSync({ ...config, io: disk.createStorageIo(quick) });
    expect(again.recovery).toMatchObject({ firstLsn, lastLsn: last });
    expect(texts(again)).toEqual(expected(firstLsn, last));
    again.closeSync();
  });
});

test.each([false, true])(
  'a log whose closing had no room to cut a reused file can be opened (with room: %s)',
  (hasRoom) => {
    const disk = new SimulatedDisk();
    const config = { directory: DIRECTORY, ...CONFIG, ...new TestEnvironment().options };
    const wal = SegmentedWal.openSync({ ...config, io: disk.createStorageIo() });
    fill(wal, 60);
    wal.truncateBeforeSync(40);
    while (wal.stats().recycled === 0) fill(wal, 1);
    const { lastLsn, firstLsn } = wal;
    disk.failWhen(({ kind }) => (kind === 'truncate' ? 'ENOSPC' : undefined));
    wal.closeSync();
    if (hasRoom) disk.failWhen(undefined);
    const again = SegmentedWal.openSync({ ...config, io: disk.createStorageIo() });
    expect(texts(again)).toEqual(expected(firstLsn, lastLsn));
    fill(again, 1);
    again.closeSync();
    disk.failWhen(undefined);
    const last = SegmentedWal.openSync({ ...config, io: disk.createStorageIo() });
    expect(texts(last)).toEqual(expected(firstLsn, lastLsn + 1));
    last.closeSync();
  },
);
