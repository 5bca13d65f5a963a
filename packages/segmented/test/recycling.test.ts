import { join } from 'node:path';
import { decodeSegmentHeader } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, MemoryWorld } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { readFile } from './support/files.js';
import { DIRECTORY } from './support/logs.js';
import { TestWorld } from './support/worlds.js';

const CONFIG = { segmentBytes: 4096, blockBytes: 512, preallocate: 'write', recycleSegments: 2 } as const;

function openOn(world: MemoryWorld, config: Partial<SegmentedWalConfig> = {}) {
  const io = createMemoryStorageIo({ world });
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestWorld().options, ...CONFIG, ...config });
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
    const { io, wal } = openOn(new MemoryWorld());
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

  test('is recognized as the next life of its file when a killed log is opened again', () => {
    const world = new MemoryWorld();
    const { wal } = openOn(world);
    fill(wal, 60);
    wal.truncateBeforeSync(40);
    const { firstLsn } = wal;
    fill(wal, 20);
    expect(wal.stats().recycled).toBeGreaterThan(0);
    wal.append('never synced');
    // The log is left as it is, as if its process had been killed.
    const files = createMemoryStorageIo({ world });
    const copy = new MemoryWorld();
    const target = createMemoryStorageIo({ world: copy });
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
    'whose next life was closed is known to be: nothing of its earlier life is taken for a torn tail, with %s',
    (_what, padGroups) => {
      for (let records = 20; records <= 40; records++) {
        const world = new MemoryWorld();
        const { wal } = openOn(world, { padGroups });
        fill(wal, 60);
        wal.truncateBeforeSync(40);
        // Older bytes of the file stand behind wherever the log comes to its end.
        fill(wal, records);
        expect(wal.stats().recycled).toBeGreaterThan(0);
        wal.closeSync();
        const again = openOn(world, { padGroups }).wal;
        expect(again.recovery).toMatchObject({ cleanlyClosed: true, cutBytes: 0, lastLsn: 60 + records });
        again.closeSync();
      }
    },
  );

  test('waits for reuse across lives of the log', () => {
    const world = new MemoryWorld();
    const first = openOn(world);
    fill(first.wal, 60);
    first.wal.truncateBeforeSync(60);
    first.wal.closeSync();
    expect(freeFiles(first.io.list(DIRECTORY))).toHaveLength(2);
    const { wal } = openOn(world);
    fill(wal, 40);
    expect(wal.stats().recycled).toBe(2);
    wal.closeSync();
  });

  test('is removed when somebody holds a lock on its file', () => {
    const { io, wal } = openOn(new MemoryWorld());
    fill(wal, 60);
    for (const { path } of wal.listSegments()) expect(io.lockFile(io.open(path), 'shared')).toBe(true);
    expect(wal.truncateBeforeSync(40).segmentsRecycled).toBe(0);
    expect(freeFiles(io.list(DIRECTORY))).toEqual([]);
    wal.closeSync();
  });

  test.each([0, 1])('is kept up to recycleSegments: %i', (recycleSegments) => {
    const { io, wal } = openOn(new MemoryWorld(), { recycleSegments });
    fill(wal, 60);
    expect(wal.truncateBeforeSync(40).segmentsRecycled).toBe(recycleSegments);
    wal.truncateBeforeSync(60);
    expect(freeFiles(io.list(DIRECTORY))).toHaveLength(recycleSegments);
    wal.closeSync();
  });

  test('whose old id has the same checksum as the new one is not reused', () => {
    const world = new MemoryWorld();
    const { io, wal } = openOn(world);
    fill(wal, 60);
    const [oldest] = wal.listSegments();
    const id = decodeSegmentHeader(readFile(io, oldest?.path as string), 'oldest').segmentId;
    wal.truncateBeforeSync(wal.nextLsn);
    wal.closeSync();
    const again = openOn(world, { randomBytes: () => id.slice(), recycleSegments: 2 });
    const before = freeFiles(again.io.list(DIRECTORY)).length;
    expect(before).toBe(2);
    again.wal.append('on');
    again.wal.syncSync();
    expect(again.wal.stats().recycled).toBe(0);
    again.wal.closeSync();
  });
});

test('a reader of a segment that is overwritten meanwhile says WAL_TRUNCATED, and never WAL_CORRUPT', () => {
  const { wal } = openOn(new MemoryWorld(), { segmentBytes: 1 << 20, maxPayloadBytes: 1 << 22 });
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
