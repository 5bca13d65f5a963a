import { join } from 'node:path';
import { WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig, type TruncateResult } from '@walstack/segmented';
import { createMemoryStorageIo, MemoryDisk, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

const CONFIG = { segmentBytes: 4096, blockBytes: 512, markAfterMs: 0, recycleSegments: 0 } as const;

function openOn(io: StorageIo, config: Partial<SegmentedWalConfig> = {}): SegmentedWal {
  return SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...CONFIG, ...config });
}

function fill(wal: SegmentedWal, records: number): void {
  for (let record = 0; record < records; record++) {
    wal.append(new Uint8Array(300));
    wal.syncSync();
  }
}

const segments = (io: StorageIo): string[] => io.list(DIRECTORY).filter((name) => name.startsWith('wal-'));

describe('a segment whose file is gone already', () => {
  test.each([0, 8])('keeps no other from being dropped, with recycleSegments %i', (recycleSegments) => {
    const io = createMemoryStorageIo();
    const wal = openOn(io, { recycleSegments });
    fill(wal, 100);
    const metas = wal.listSegments();
    io.submitRemove(metas[1]?.path as string);
    const result = wal.truncateBeforeSync(wal.nextLsn);
    expect(result.segmentsDeleted + result.segmentsRecycled).toBe(metas.length);
    expect(result.segmentsLeft).toBe(0);
    expect(segments(io)).toHaveLength(1);
    wal.closeSync();
  });
});

describe.each(['EIO', 'ENOSPC'] as const)('a segment whose file cannot be removed (%s)', (fault) => {
  /** A log whose disk refuses to remove one of its segments, as long as `refuses` is set. */
  const refusing = (config: Partial<SegmentedWalConfig> = {}) => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    const wal = openOn(io, config);
    const state = { refuses: true, refused: 0 };
    disk.failWhen(({ kind, path }) => {
      if (kind !== 'remove' || !state.refuses || !/wal-0000000002-/.test(path)) return undefined;
      state.refused++;
      return fault;
    });
    return { disk, io, wal, state };
  };

  test('is left, and the others go; it goes with the next truncation that is possible', () => {
    const { io, wal, state } = refusing();
    fill(wal, 100);
    const count = wal.listSegments().length;
    expect(wal.truncateBeforeSync(50)).toMatchObject({ segmentsLeft: 1 });
    expect(wal.truncateBeforeSync(wal.nextLsn)).toMatchObject({ segmentsLeft: 1 });
    expect(state.refused).toBe(2);
    expect(count).toBeGreaterThan(4);
    expect(segments(io)).toHaveLength(2);
    expect(wal.failure).toBe(undefined);
    state.refuses = false;
    expect(wal.truncateBeforeSync(wal.nextLsn)).toMatchObject({ segmentsDeleted: 1, segmentsLeft: 0 });
    expect(segments(io)).toHaveLength(1);
    wal.closeSync();
  });

  test('keeps neither retention nor checkpoint, hold and releaseHold from what they do', () => {
    const { io, wal } = refusing({ retainBytes: 8192 });
    fill(wal, 60);
    wal.checkpointSync(wal.lastLsn);
    expect(wal.checkpointLsn).toBe(60);
    wal.holdSync('reader', wal.nextLsn);
    fill(wal, 60);
    wal.checkpointSync(wal.lastLsn);
    expect(wal.releaseHoldSync('reader')).toBe(true);
    expect(wal.listSegments().length).toBeLessThan(5);
    expect(segments(io)).toHaveLength(wal.listSegments().length + 1);
    wal.closeSync();
  });

  test('is hidden by a cut all the same', () => {
    const { io, wal } = refusing();
    fill(wal, 60);
    const result: TruncateResult = wal.truncateAfterSync(1);
    expect(result.segmentsLeft).toBe(1);
    expect([wal.firstLsn, wal.lastLsn]).toEqual([1, 1]);
    fill(wal, 3);
    wal.closeSync();
    expect(segments(io)).toHaveLength(3);
  });

  test.each([
    ['closed', true],
    ['killed', false],
  ])('keeps a log that was %s from nothing when it is opened', (_what, close) => {
    const { disk, io, wal, state } = refusing();
    fill(wal, 60);
    wal.truncateBeforeSync(50);
    const { firstLsn, lastLsn } = wal;
    if (close) wal.closeSync();
    else disk.kill();
    const again = disk.createStorageIo();
    const reopened = openOn(again);
    expect([reopened.firstLsn, reopened.lastLsn]).toEqual([firstLsn, lastLsn]);
    expect(segments(again).some((name) => name.startsWith('wal-0000000002'))).toBe(true);
    fill(reopened, 10);
    reopened.closeSync();
    state.refuses = false;
    const last = openOn(disk.createStorageIo());
    expect(last.lastLsn).toBe(lastLsn + 10);
    expect(segments(disk.createStorageIo()).some((name) => name.startsWith('wal-0000000002'))).toBe(false);
    last.closeSync();
    expect(io.name).toBe('simulation');
  });
});

test('what is no failure of the file ends a truncation: the power is gone', () => {
  const disk = new MemoryDisk();
  const io = createMemoryStorageIo({ disk });
  const wal = openOn(
    new Proxy(io, {
      get(target, name) {
        if (name === 'submitRemove') {
          return (path: string) => {
            throw new WalError('WAL_CLOSED', `the power is gone: ${path}`);
          };
        }
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    }),
  );
  fill(wal, 60);
  expect(() => wal.truncateBeforeSync(50)).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
  expect(segments(io).length).toBeGreaterThan(2);
  expect(io.stat(join(DIRECTORY, 'checkpoint')).kind).toBe('file');
});
