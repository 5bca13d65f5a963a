import { SegmentedWal } from '@walstack/segmented';
import { runAsync } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { DIRECTORY } from './support/logs.js';

const busy = expect.objectContaining({ code: 'WAL_STATE', state: 'advancing' });
const LAST = 60;

/** A log of several segments. */
async function filledLog() {
  const io = new SimulatedDisk().createStorageIo({ completesInline: false });
  const wal = await SegmentedWal.open({
    directory: DIRECTORY,
    io,
    blockBytes: 512,
    segmentBytes: 4096,
    markAfterMs: 0,
  });
  for (let lsn = 1; lsn <= LAST; lsn++) wal.append('x'.repeat(300));
  await wal.sync();
  return { io, wal };
}

test('a second advance of a reader is rejected until the first one ends, which continues', async () => {
  const { io, wal } = await filledLog();
  const reader = await wal.openReader('first');
  const lsns: number[] = [];
  let refused = 0;
  for (let isMore = true; isMore; ) {
    const first = runAsync(io, reader.advance());
    const second = runAsync(io, reader.advance()).catch((error: unknown) => error);
    isMore = await first;
    const outcome = await second;
    // Where the first one waits for nothing, it has ended before the second one begins.
    if (typeof outcome !== 'boolean') {
      expect(outcome).toEqual(busy);
      refused++;
    }
    for (let record = reader.next(); record !== undefined; record = reader.next()) lsns.push(record.lsn);
  }
  expect(refused).toBeGreaterThan(2);
  expect(lsns).toEqual(Array.from({ length: LAST }, (_, index) => index + 1));
  reader.close();
  await wal.close();
});
