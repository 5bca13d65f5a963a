import { LogTail, replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';

/** One record fills a segment. */
const SMALL = { segmentBytes: 1024, blockBytes: 512, recycleSegments: 0, markAfterMs: 0 };

/** A log with one record in each segment. */
async function openIn(io: StorageIo, config: Partial<SegmentedWalConfig> = {}) {
  const directory = config.directory ?? directoryFor(io);
  const wal = await SegmentedWal.open({ ...SMALL, ...config, directory, io });
  const appendTo = async (lsn: number): Promise<void> => {
    while (wal.nextLsn <= lsn) {
      wal.append(new Uint8Array(400));
      await wal.sync();
    }
  };
  return { wal, directory, appendTo };
}

async function lsnsOf(records: AsyncIterable<{ readonly lsn: number }>): Promise<number[]> {
  const lsns: number[] = [];
  for await (const { lsn } of records) lsns.push(lsn);
  return lsns;
}

async function lsnsOfTail(io: StorageIo, directory: string): Promise<number[]> {
  using tail = new LogTail(io, directory, { from: 'checkpoint' });
  const lsns: number[] = [];
  while (await tail.advance()) for (let each = tail.next(); each !== undefined; each = tail.next()) lsns.push(each.lsn);
  return lsns;
}

/** What each kind of reading returns from the checkpoint on: all of them the same. */
async function fromCheckpoint(wal: SegmentedWal, io: StorageIo): Promise<number[]> {
  const { directory } = wal;
  const lsns = await lsnsOf(wal.replayFrom('checkpoint'));
  const page = await wal.replayFromLimit('checkpoint', 1000);
  expect(page.records.map(({ lsn }) => lsn)).toEqual(lsns);
  const reader = await wal.openReader('checkpoint');
  reader.close();
  expect(await lsnsOf(replayDirectory(directory, { io, from: 'checkpoint' }))).toEqual(lsns);
  expect(await lsnsOfTail(io, directory)).toEqual(lsns);
  const other = await SegmentedWal.open({ directory, io, recoveryMode: 'readonly' });
  expect(await lsnsOf(other.replayFrom('checkpoint'))).toEqual(lsns);
  await other.close();
  return lsns;
}

/** The error of each kind of reading: all of them the same. */
async function refusedFromCheckpoint(wal: SegmentedWal, io: StorageIo): Promise<Error> {
  const { directory } = wal;
  const error = await rejection(lsnsOf(wal.replayFrom('checkpoint')));
  const facts = { code: 'WAL_TRUNCATED', message: error.message };
  expect(await rejection(wal.replayFromLimit('checkpoint', 10))).toMatchObject(facts);
  expect(await rejection(wal.openReader('checkpoint'))).toMatchObject(facts);
  expect(await rejection(lsnsOf(replayDirectory(directory, { io, from: 'checkpoint' })))).toMatchObject(facts);
  expect(await rejection(lsnsOfTail(io, directory))).toMatchObject(facts);
  return error;
}

describe.each(BACKENDS)("from 'checkpoint' on %s", (_name, create) => {
  test('without a checkpoint is everything, also where the log begins with another LSN than 1', async () => {
    await using io = create();
    const { wal, appendTo } = await openIn(io, { firstLsn: 100 });
    expect(await fromCheckpoint(wal, io)).toEqual([]);
    await appendTo(102);
    expect(await fromCheckpoint(wal, io)).toEqual([100, 101, 102]);
    await wal.close();
  });

  test('begins behind the checkpoint, wherever the log begins, also when it was opened again', async () => {
    await using io = create();
    const { wal, appendTo, directory } = await openIn(io);
    await appendTo(6);
    await wal.checkpoint(3);
    expect(await fromCheckpoint(wal, io)).toEqual([4, 5, 6]);
    await wal.truncateBefore(3);
    expect([wal.firstLsn, await fromCheckpoint(wal, io)]).toEqual([3, [4, 5, 6]]);
    await wal.truncateBefore(4);
    expect([wal.firstLsn, await fromCheckpoint(wal, io)]).toEqual([4, [4, 5, 6]]);
    await wal.close();
    const again = await openIn(io, { directory });
    expect(await fromCheckpoint(again.wal, io)).toEqual([4, 5, 6]);
    await again.wal.checkpoint(6);
    expect(await fromCheckpoint(again.wal, io)).toEqual([]);
    await again.appendTo(7);
    expect(await fromCheckpoint(again.wal, io)).toEqual([7]);
    await again.wal.close();
  });

  test('is the first record of the log where the application has truncated beyond the checkpoint', async () => {
    await using io = create();
    const { wal, appendTo } = await openIn(io);
    await appendTo(6);
    await wal.truncateBefore(3);
    expect(await fromCheckpoint(wal, io)).toEqual([3, 4, 5, 6]);
    await wal.checkpoint(3);
    await wal.truncateBefore(6);
    expect([wal.checkpointLsn, await fromCheckpoint(wal, io)]).toEqual([3, [6]]);
    await wal.truncateBefore(7);
    expect(await fromCheckpoint(wal, io)).toEqual([]);
    await appendTo(8);
    expect(await fromCheckpoint(wal, io)).toEqual([7, 8]);
    await wal.close();
  });

  test.each([
    ['above', 100],
    ['below', 2],
    ['at', 5],
  ])('is the place of a reset %s the checkpoint', async (_where, lsn) => {
    await using io = create();
    const { wal, appendTo, directory } = await openIn(io);
    await appendTo(6);
    await wal.checkpoint(4);
    await wal.resetTo(lsn);
    expect(await fromCheckpoint(wal, io)).toEqual([]);
    await appendTo(lsn + 2);
    expect(await fromCheckpoint(wal, io)).toEqual([lsn, lsn + 1, lsn + 2]);
    await wal.close();
    const again = await openIn(io, { directory });
    expect(await fromCheckpoint(again.wal, io)).toEqual([lsn, lsn + 1, lsn + 2]);
    await again.wal.truncateBefore(lsn + 2);
    expect(await fromCheckpoint(again.wal, io)).toEqual([lsn + 2]);
    await again.wal.close();
  });

  test('begins behind a checkpoint that a cut has lowered', async () => {
    await using io = create();
    const { wal, appendTo } = await openIn(io);
    await appendTo(6);
    await wal.checkpoint(5);
    await wal.truncateAfter(3);
    expect(await fromCheckpoint(wal, io)).toEqual([]);
    await appendTo(5);
    expect(await fromCheckpoint(wal, io)).toEqual([4, 5]);
    await wal.close();
  });

  test('is WAL_TRUNCATED only where retention has dropped what no checkpoint covers', async () => {
    await using io = create();
    const { wal, appendTo, directory } = await openIn(io, { retainUntilCheckpoint: false, retainBytes: 4096 });
    await appendTo(3);
    await wal.checkpoint(2);
    await appendTo(40);
    await wal.hold('settled', wal.nextLsn);
    await wal.releaseHold('settled');
    const { firstLsn } = wal;
    expect(firstLsn).toBeGreaterThan(3);
    expect(await refusedFromCheckpoint(wal, io)).toMatchObject({ lsn: 3, firstLsn });
    await wal.close();

    const again = (await openIn(io, { directory })).wal;
    expect(await refusedFromCheckpoint(again, io)).toMatchObject({ lsn: 3, firstLsn });
    await again.checkpoint(firstLsn - 2);
    expect(await refusedFromCheckpoint(again, io)).toMatchObject({ lsn: firstLsn - 1, firstLsn });
    await again.checkpoint(firstLsn - 1);
    expect((await fromCheckpoint(again, io))[0]).toBe(firstLsn);
    await again.close();
  });

  test('is not WAL_TRUNCATED any more when what retention has dropped was truncated, or reset, as well', async () => {
    for (const how of ['truncated', 'reset']) {
      await using io = create();
      const { wal, appendTo } = await openIn(io, { retainUntilCheckpoint: false, retainBytes: 4096 });
      await appendTo(40);
      await wal.hold('settled', wal.nextLsn);
      await wal.releaseHold('settled');
      expect(await refusedFromCheckpoint(wal, io)).toMatchObject({ lsn: 1 });
      // A reset to just where the log begins is one, too.
      if (how === 'truncated') await wal.truncateBefore(40);
      else await wal.resetTo(wal.firstLsn);
      const { firstLsn } = wal;
      await appendTo(Math.max(firstLsn, wal.lastLsn));
      expect((await fromCheckpoint(wal, io))[0]).toBe(firstLsn);
      await wal.close();
    }
  });
});

test('retention that respects the checkpoint leaves everything behind it', async () => {
  const [, create] = BACKENDS[0] as (typeof BACKENDS)[number];
  await using io = create();
  const { wal, appendTo } = await openIn(io, { retainBytes: 0 });
  await appendTo(10);
  await wal.checkpoint(7);
  expect([wal.firstLsn, await fromCheckpoint(wal, io)]).toEqual([8, [8, 9, 10]]);
  await wal.close();
});

test.each(['last', '', null, {}])('a from that is %j is refused', async (from) => {
  const [, create] = BACKENDS[0] as (typeof BACKENDS)[number];
  await using io = create();
  const { wal, directory } = await openIn(io);
  const wrong = from as 'checkpoint';
  const code = 'ERR_INVALID_ARG_TYPE';
  expect(() => wal.replayFrom(wrong)).toThrow(expect.objectContaining({ code }));
  expect(() => replayDirectory(directory, { from: wrong })).toThrow(expect.objectContaining({ code }));
  expect(() => new LogTail(io, directory, { from: wrong })).toThrow(expect.objectContaining({ code }));
  expect(await rejection(wal.openReader(wrong))).toMatchObject({ code });
  expect(await rejection(wal.replayFromLimit(wrong, 1))).toMatchObject({ code });
  await wal.close();
});
