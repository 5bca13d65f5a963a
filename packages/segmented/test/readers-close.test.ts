import { LogTail } from '@walstack/mmap-reader';
import { type LogReader, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type IoFile, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

/** The files of a backend that are open. */
function openFilesOf(io: StorageIo): Set<IoFile> {
  const files = new Set<IoFile>();
  const { open, close } = io;
  Object.defineProperty(io, 'open', {
    value: (...args: Parameters<typeof open>) => {
      const file = open.apply(io, args);
      files.add(file);
      return file;
    },
  });
  Object.defineProperty(io, 'close', {
    value: (file: IoFile) => {
      files.delete(file);
      close.call(io, file);
    },
  });
  return files;
}

/** A log of several segments, and how many of its files are open. */
function opened() {
  const io = createMemoryStorageIo();
  const files = openFilesOf(io);
  const config = { blockBytes: 512, segmentBytes: 1024, recycleSegments: 0 };
  const wal = SegmentedWal.openSync({ directory: DIRECTORY, io, ...new TestEnvironment().options, ...config });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append('x'.repeat(100));
  wal.syncSync();
  return { io, wal, files };
}

type Opened = ReturnType<typeof opened>['wal'];

const stop = new Error('enough');

describe('no file stays open', () => {
  test.each<readonly [string, (wal: Opened) => unknown]>([
    ['a page that is not the last one', (wal) => wal.replayFromLimitSync(1, 3)],
    ['a page up to the end', (wal) => wal.replayFromLimitSync(1, 100)],
    ['a page, in time', (wal) => wal.replayFromLimit(1, 3)],
    ['one record', (wal) => wal.readSync(7)],
    ['one record, in time', (wal) => wal.read(7)],
    ['a loop that is left', (wal) => [...wal.replay()].slice(0, 2)],
    [
      'a loop that breaks',
      (wal) => {
        for (const { lsn } of wal.replay()) if (lsn === 3) break;
      },
    ],
    [
      'an asynchronous loop that breaks',
      async (wal) => {
        for await (const { lsn } of wal.replay()) if (lsn === 3) break;
      },
    ],
    [
      'a function that throws',
      (wal) =>
        expect(
          wal.replay().forEach(() => {
            throw stop;
          }),
        ).rejects.toBe(stop),
    ],
    [
      'a function that rejects',
      (wal) =>
        expect(
          wal.replay().forEach(async () => {
            throw stop;
          }),
        ).rejects.toBe(stop),
    ],
    ['an LSN by its position', (wal) => wal.lsnBeforeSync(wal.position)],
  ])('of %s', async (_name, read) => {
    const { wal, files } = opened();
    const before = files.size;
    await read(wal);
    expect(files.size).toBe(before);
    await wal.close();
    expect(files.size).toBe(0);
  });

  test('of a tail that goes on from segment to segment', () => {
    const { io, wal, files } = opened();
    const before = files.size;
    const tail = new LogTail(io, DIRECTORY, { from: 'first' });
    const lsns: number[] = [];
    let most = 0;
    do {
      for (let record = tail.next(); record !== undefined; record = tail.next()) lsns.push(record.lsn);
      most = Math.max(most, files.size - before);
    } while (tail.advanceSync());
    expect(lsns.length).toBe(20);
    expect(most).toBeLessThanOrEqual(2);
    tail.close();
    expect(files.size).toBe(before);
    wal.closeSync();
  });
});

test.each([false, true])('a closed reader reads nothing any more (that it has failed: %s)', (failed) => {
  turnsByLooks(0);
  const io = createMemoryStorageIo();
  const config = { directory: DIRECTORY, io, blockBytes: 512, segmentBytes: 1024, ...new TestEnvironment().options };
  const written = SegmentedWal.openSync({ ...config, compression: { codec: 'deflate' } });
  written.append('first');
  written.append('x'.repeat(failed ? 50_000 : 10));
  written.syncSync();
  for (let record = 0; record < 10; record++) written.append('y'.repeat(100));
  written.closeSync();
  const wal = SegmentedWal.openSync({ ...config, maxPayloadBytes: 4000 });
  const reader = wal.openReaderSync('first');
  expect(runSync(io, reader.advance())).toBe(true);
  expect(reader.next()?.lsn).toBe(1);
  if (failed) expect(() => reader.next()).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
  reader.close();
  expect(reader.next()).toBeUndefined();
  expect(() => runSync(io, reader.advance())).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
  wal.closeSync();
});

test.each<readonly [string, (reader: LogReader, wal: SegmentedWal) => unknown]>([
  ['it', (reader) => reader.close()],
  ['its log', (_reader, wal) => wal.close()],
])('closing %s while a reader reads further ends that, and closes its file', async (_what, close) => {
  const io = new SimulatedDisk().createStorageIo({ completesInline: false });
  const files = openFilesOf(io);
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io, ...new TestEnvironment().options });
  // More than is read at a time.
  for (let record = 0; record < 600; record++) wal.append('x'.repeat(1000));
  await wal.sync();
  const before = files.size;
  const reader = await wal.openReader('first');
  expect(await runAsync(io, reader.advance())).toBe(true);
  let last = 0;
  for (let record = reader.next(); record !== undefined; record = reader.next()) last = record.lsn;
  expect(last).toBeLessThan(600);
  const advanced = rejection(runAsync(io, reader.advance()));
  await close(reader, wal);
  expect(await advanced).toMatchObject({ code: 'WAL_CLOSED' });
  expect(reader.next()).toBeUndefined();
  expect(files.size).toBeLessThanOrEqual(before);
  await wal.close();
  expect(files.size).toBe(0);
});
