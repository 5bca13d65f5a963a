import { Batch, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { changed, flip, restore, type Snapshot, segmentNames, snapshot } from './support/files.js';
import { lsnsOf, skipCorrupt } from './support/hole-logs.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';
import { CONFIG, firstLsnOf, made, NAMES, nameOf, without } from './support/salvage-logs.js';

/** A log that was cut over the end of a segment, so that a number is not there, and went on. */
function cutLog(): { readonly files: Snapshot; readonly payloads: readonly string[] } {
  const io = createMemoryStorageIo();
  const options = { directory: DIRECTORY, io, blockBytes: 512, ...CONFIG, ...new TestEnvironment().options };
  const wal = SegmentedWal.openSync(options);
  for (let each = 1; each <= 10; each++) wal.append(`old ${each} `.padEnd(250, 'o'));
  wal.syncSync();
  wal.truncateAfterSync(4);
  for (let each = 5; each <= 40; each++) wal.append(`new ${each} `.padEnd(250, 'n'));
  wal.appendBatch(new Batch().add('a').add('b'));
  wal.syncSync();
  const payloads = texts(wal.replay());
  wal.closeSync();
  return { files: snapshot(io, DIRECTORY), payloads };
}

const isAsked = expect.objectContaining({ code: 'WAL_CORRUPT', message: expect.stringContaining('salvageLsn') });

test('the order of segments without a number between is confirmed by the first LSN of the damaged one', () => {
  const { files, payloads } = cutLog();
  const names = segmentNames(files);
  const [, damaged, next] = names as [string, string, string];
  expect(damaged).toContain('0000000003-');
  const [firstLsn, nextLsn] = [firstLsnOf(damaged), firstLsnOf(next)];
  expect(firstLsn).toBe(5);
  const broken = changed(files, damaged, flip(50));
  const names5 = expect.objectContaining({
    code: 'WAL_CORRUPT',
    message: expect.stringContaining('give salvageLsn, 5,'),
  });
  for (const salvageLsn of [undefined, 4, 6, nextLsn]) {
    expect(() =>
      skipCorrupt(restore(broken), { ...CONFIG, ...(salvageLsn === undefined ? {} : { salvageLsn }) }),
    ).toThrow(names5);
  }
  const io = restore(broken);
  const wal = skipCorrupt(io, { ...CONFIG, salvageLsn: 5 });
  expect(wal.recovery.holes).toEqual([{ firstLsn: 5, lastLsn: nextLsn - 1, reason: 'header' }]);
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual([...payloads.slice(0, 4), ...payloads.slice(nextLsn - 1)]);
  wal.closeSync();
  expect(openIn(io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);

  // The one behind it as well: both are lost, and the order is confirmed in the same way.
  const both = changed(broken, next, flip(50));
  expect(() => skipCorrupt(restore(both), CONFIG)).toThrow(names5);
  const around = skipCorrupt(restore(both), { ...CONFIG, salvageLsn: 5 });
  expect(Math.max(...lsnsOf(around.recovery.holes))).toBe(firstLsnOf(names[3] as string) - 1);
  around.closeSync();
});

test('damaged segments on both sides of a number that is not there are confirmed by the first LSN of the later one', () => {
  const { files, payloads } = cutLog();
  const [first, damaged, next] = segmentNames(files) as [string, string, string];
  const both = changed(changed(files, damaged, flip(50)), first, flip(50));
  expect(() => skipCorrupt(restore(both), CONFIG)).toThrow(isAsked);
  const wal = skipCorrupt(restore(both), { ...CONFIG, salvageLsn: 5 });
  expect(lsnsOf(wal.recovery.holes)).toEqual(Array.from({ length: firstLsnOf(next) - 1 }, (_, index) => index + 1));
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual(payloads.slice(firstLsnOf(next) - 1));
  wal.closeSync();
});

test.each([1, 2])('a log without its first %i files needs the LSN with which they began', (count) => {
  const files = without(made.files, ...NAMES.slice(0, count));
  const next = firstLsnOf(nameOf(count));
  expect(() => skipCorrupt(restore(files), CONFIG)).toThrow(isAsked);
  const io = restore(files);
  const wal = skipCorrupt(io, { ...CONFIG, salvageLsn: 1 });
  expect(wal.firstLsn).toBe(1);
  expect(wal.recovery.holes).toEqual([{ firstLsn: 1, lastLsn: next - 1, reason: 'missing-segment' }]);
  expect(wal.recovery.salvage?.lost).toEqual([{ fromLsn: 1, toLsn: next - 1 }]);
  expect(() => texts(wal.replay())).toThrow(expect.objectContaining({ code: 'WAL_HOLE', firstLsn: 1 }));
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual(made.payloads.slice(next));
  wal.closeSync();
  expect(openIn(io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);

  // Or the LSN with which the log begins now, where nothing is missed before it.
  const begins = skipCorrupt(restore(files), { ...CONFIG, salvageLsn: next });
  expect(begins.recovery).toMatchObject({ firstLsn: next, holes: [] });
  begins.closeSync();
});
