import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { readAll, recordsIn } from './support/backups.js';
import { snapshot, writeFile } from './support/files.js';

/** Two copies of a log: where it was closed, both go on in the same segment. */
async function twoCopies({ isClosed = true, bytes = 50 } = {}) {
  const io = createMemoryStorageIo();
  const config = (directory: string) => ({ directory, io, segmentBytes: 2048, blockBytes: 512, markAfterMs: 0 });
  const made = await SegmentedWal.open(config('/made'));
  fill(made, 'made', 3, bytes);
  await made.sync();
  if (isClosed) await made.close();
  for (const directory of ['/one', '/other']) copy(io, '/made', directory);
  if (!isClosed) await made.close();
  const one = await SegmentedWal.open(config('/one'));
  const other = await SegmentedWal.open(config('/other'));
  return { io, one, other };
}

function copy(io: StorageIo, from: string, to: string): void {
  io.makeDirectory(to);
  for (const [name, bytes] of snapshot(io, from)) writeFile(io, join(to, name), bytes);
}

function fill(wal: SegmentedWal, by: string, records: number, bytes = 200): void {
  for (let record = 0; record < records; record++) wal.append(`${by} ${wal.nextLsn}`.padEnd(bytes));
}

/** Begins a backup and aborts it when something was staged of it. */
async function stage(wal: SegmentedWal, hardLinks: boolean): Promise<void> {
  const stop = new AbortController();
  const onProgress = ({ records }: { readonly records: number }): void => {
    if (records > 0) stop.abort();
  };
  const options = { hardLinks, signal: stop.signal, onProgress };
  expect(await rejection(wal.backup('/backup', options))).toMatchObject({ code: 'WAL_ABORTED' });
}

describe.each([true, false])('with hard links: %s', (hardLinks) => {
  test('what an unfinished backup of a copy of the log has staged is not used where that has gone on differently', async () => {
    const { io, one, other } = await twoCopies();
    fill(one, 'one', 20);
    fill(other, 'other', 20);
    await stage(other, hardLinks);
    await one.backup('/backup', { hardLinks });
    expect(await readAll(io, '/backup')).toEqual(await recordsIn(one));
    for (const wal of [one, other]) await wal.close();
  });

  test('what an unfinished backup of a copy has staged is not used where that was cut', async () => {
    // The records that it lacks are in the last block of the segment.
    const { io, one, other } = await twoCopies({ isClosed: false, bytes: 20 });
    await other.truncateAfter(2);
    fill(other, 'other', 20);
    await stage(other, hardLinks);
    fill(one, 'one', 20);
    await one.backup('/backup', { hardLinks });
    expect(await readAll(io, '/backup')).toEqual(await recordsIn(one));
    for (const wal of [one, other]) await wal.close();
  });

  test('what a backup of a copy has of a segment is not kept where that went on differently, and was cut behind', async () => {
    const { io, one, other } = await twoCopies();
    fill(one, 'one', 20);
    fill(other, 'other', 20);
    await other.truncateAfter(3);
    await other.backup('/backup', { hardLinks });
    await one.backup('/backup', { hardLinks });
    expect(await readAll(io, '/backup')).toEqual(await recordsIn(one));
    for (const wal of [one, other]) await wal.close();
  });

  test('what an unfinished backup of the log itself has staged is used', async () => {
    const { io, one, other } = await twoCopies();
    fill(one, 'one', 20);
    await stage(one, hardLinks);
    expect(await one.backup('/backup', { hardLinks })).toMatchObject({ keptSegments: 1 });
    expect(await readAll(io, '/backup')).toEqual(await recordsIn(one));
    for (const wal of [one, other]) await wal.close();
  });
});

test('a backup that is the same as that of a copy of the log is one of this log: it follows what this one cuts off', async () => {
  const { io, one, other } = await twoCopies();
  await other.backup('/backup');
  await one.backup('/backup');
  await one.truncateAfter(1);
  await one.backup('/backup');
  expect(await readAll(io, '/backup')).toEqual(await recordsIn(one));
  for (const wal of [one, other]) await wal.close();
});
