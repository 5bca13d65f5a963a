import { LogTail, replayDirectory, type WalRecord } from '@walstack/mmap-reader';
import { createSyncFsStorageIo } from '@walstack/storage-io';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { makeChain, writeSegments } from './support/segments.js';

const moveAway = (buffer: ArrayBuffer & { transfer?: () => ArrayBuffer }): ArrayBuffer =>
  buffer.transfer?.() ?? structuredClone(buffer, { transfer: [buffer] });

const payloadOf = (lsn: number): string => `${lsn} `.padEnd(400 + (lsn % 7), 'x');

it.each([1, 2])(
  'a scan reads again what the application transfers away, wherever in a segment: %i workers',
  async (workers) => {
    const directory = temporaryDirectory();
    // The first segment is read in several pieces.
    writeSegments(
      directory,
      makeChain([8000, 500, 10], (lsn) => ({ payload: payloadOf(lsn) })),
    );
    let lsn = 0;
    await replayDirectory(directory, { workers }).scan(({ payload }) => {
      lsn++;
      if (text(payload) !== payloadOf(lsn)) expect(text(payload)).toBe(payloadOf(lsn));
      if (lsn % 397 === 0) moveAway(payload.buffer as ArrayBuffer);
    });
    expect(lsn).toBe(8510);
  },
);

describe('views that the application transfers to another thread', () => {
  type Seen = (record: Pick<WalRecord, 'lsn' | 'payload'>) => void;
  const READERS: readonly [string, (directory: string, seen: Seen) => unknown][] = [
    ['forEach', (directory, seen) => replayDirectory(directory, { copy: false }).forEach(seen)],
    [
      'forEach with workers',
      (directory, seen) => replayDirectory(directory, { copy: false, workers: 1 }).forEach(seen),
    ],
    ['a filter', (directory, seen) => replayDirectory(directory, { copy: false, types: [0] }).forEach(seen)],
    [
      'a filter with workers',
      (directory, seen) => replayDirectory(directory, { copy: false, types: [0], workers: 1 }).forEach(seen),
    ],
    ['a scan', (directory, seen) => replayDirectory(directory).scan(seen)],
    [
      'a cursor',
      (directory, seen) => {
        for (const cursor = replayDirectory(directory).cursor(); cursor.next(); ) seen(cursor);
      },
    ],
    [
      'a tail',
      (directory, seen) => {
        using tail = new LogTail(createSyncFsStorageIo(), directory, { copy: false });
        while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) seen(r);
      },
    ],
  ];

  it.each(READERS)('leave the records behind them, sealed or in the newest segment: %s', async (_name, read) => {
    const directory = temporaryDirectory();
    writeSegments(
      directory,
      makeChain([100, 900], (lsn) => ({ payload: payloadOf(lsn) })),
    );
    let count = 0;
    await read(directory, ({ lsn, payload }) => {
      if (lsn !== ++count || text(payload) !== payloadOf(lsn))
        expect([count, text(payload)]).toEqual([lsn, payloadOf(lsn)]);
      if (lsn % 7 !== 3) return;
      const { buffer } = payload;
      try {
        structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
      } catch (error) {
        // Node.js refuses it from version 21 on, and copies before.
        expect((error as Error).name).toBe('DataCloneError');
      }
    });
    expect(count).toBe(1000);
  });
});

const { transfer } = ArrayBuffer.prototype as { transfer?: (this: ArrayBufferLike) => ArrayBuffer };

it.skipIf(transfer === undefined)(
  'a tail says what was transferred away where Node.js cannot prevent that, and reads it again',
  () => {
    const directory = temporaryDirectory();
    writeSegments(
      directory,
      makeChain([30], (lsn) => ({ payload: payloadOf(lsn) })),
    );
    using tail = new LogTail(createSyncFsStorageIo(), directory, { copy: false });
    const found: number[] = [];
    const read = (): void => {
      while (tail.advanceSync())
        for (let r = tail.next(); r !== undefined; r = tail.next()) {
          found.push(r.lsn);
          if (r.lsn === 10 && found.length === 10) transfer?.call(r.payload.buffer);
        }
    };
    expect(read).toThrow(expect.objectContaining({ code: 'WAL_STATE', state: 'transferred' }));
    read();
    expect(found).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  },
);
