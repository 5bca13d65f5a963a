import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { restore, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, openIn } from './support/logs.js';

/** The marks of the newest segment: LSN and type. */
function marksOf(io: ReturnType<typeof createMemoryStorageIo>): { lsn: number; type: number }[] {
  const files = snapshot(io, DIRECTORY);
  const bytes = files.get(segmentNames(files).at(-1) as string) as Uint8Array;
  const view = new DataView(bytes.buffer);
  const marks: { lsn: number; type: number }[] = [];
  for (let at = 512; at + 32 <= bytes.length; ) {
    const length = view.getUint32(at, true);
    if (length === 0 || 512 - (at % 512) < 8) {
      at += 512 - (at % 512);
      continue;
    }
    if (view.getUint8(at + 26) === 16) {
      marks.push({ lsn: Number(view.getBigUint64(at + 8, true)), type: view.getUint32(at + 16, true) });
    }
    at += 8 + length;
  }
  return marks;
}

const opened = (world: TestEnvironment, config: object = {}) => {
  const io = createMemoryStorageIo();
  return { io, wal: SegmentedWal.openSync({ directory: DIRECTORY, io, blockBytes: 512, ...world.options, ...config }) };
};

test('an idle log gets one mark, once, after its last record is durable', async () => {
  const world = new TestEnvironment();
  const { io, wal } = opened(world);
  expect(world.waiting).toEqual([]);
  wal.append('a');
  wal.syncSync();
  wal.append('b');
  wal.syncSync();
  expect(world.waiting).toEqual([50]);
  // Something was appended since the timer was set: the log is not idle yet.
  world.fire();
  expect(world.waiting).toEqual([50]);
  expect(marksOf(io)).toEqual([]);
  world.fire();
  await new Promise(setImmediate);
  expect(marksOf(io)).toEqual([{ lsn: 3, type: 0 }]);
  expect(wal.stats().marks).toBe(1);
  wal.syncSync();
  expect(world.waiting).toEqual([]);
  wal.append('c');
  wal.syncSync();
  world.fire();
  world.fire();
  await new Promise(setImmediate);
  expect(marksOf(io)).toEqual([
    { lsn: 3, type: 0 },
    { lsn: 4, type: 0 },
  ]);
  expect(wal.nextLsn).toBe(4);
  expect([...wal.replay()].map(({ lsn }) => lsn)).toEqual([1, 2, 3]);
});

test.each<[string, (wal: SegmentedWal) => unknown]>([
  ['a sync', (wal) => wal.sync()],
  ['a sync that blocks', (wal) => wal.syncSync()],
  ['a sync that was submitted', (wal) => wal.checkCompletions(wal.submitSync())],
])('an idle log gets a mark after %s', async (_what, sync) => {
  const world = new TestEnvironment();
  const { wal } = opened(world);
  wal.append('a');
  await sync(wal);
  expect(world.waiting).toEqual([50]);
  wal.closeSync();
});

test('no mark is written while something appended is not durable', async () => {
  const world = new TestEnvironment();
  const { io, wal } = opened(world);
  wal.append('a');
  wal.syncSync();
  wal.append('b');
  wal.flushSync();
  world.fire();
  world.fire();
  await new Promise(setImmediate);
  expect(marksOf(io)).toEqual([]);
});

test('markAfterMs sets the delay, and 0 turns idle marks off', () => {
  const world = new TestEnvironment();
  const { wal } = opened(world, { markAfterMs: 1234 });
  wal.append('a');
  wal.syncSync();
  expect(world.waiting).toEqual([1234]);
  const silent = new TestEnvironment();
  const off = opened(silent, { markAfterMs: 0 });
  off.wal.append('a');
  off.wal.syncSync();
  expect(silent.waiting).toEqual([]);
});

test('closing writes a mark, and only then the log counts as closed cleanly', () => {
  const world = new TestEnvironment();
  const { io, wal } = opened(world);
  wal.append('a');
  wal.append('b');
  expect(openIn(cloneOf(io)).recovery.cleanlyClosed).toBe(false);
  wal.closeSync();
  expect(world.waiting).toEqual([]);
  expect(marksOf(io)).toEqual([{ lsn: 3, type: 1 }]);
  const again = openIn(io);
  expect(again.recovery).toMatchObject({ cleanlyClosed: true, records: 2, cutBytes: 0 });
  again.closeSync();
  expect(marksOf(io)).toEqual([{ lsn: 3, type: 1 }]);
});

test('recovery marks where it found the end', () => {
  const { io, wal } = opened(new TestEnvironment());
  wal.append('a');
  wal.syncSync();
  const recovered = cloneOf(io);
  const again = openIn(recovered);
  expect(again.recovery).toMatchObject({ cleanlyClosed: false, records: 1 });
  const files = snapshot(recovered, DIRECTORY);
  const [old, next] = segmentNames(files) as [string, string];
  expect(new DataView((files.get(old) as Uint8Array).buffer).getUint32(512 + 8 + 24 + 1 + 16, true)).toBe(2);
  expect(next).toBe('wal-0000000002-00000000000000000002.seg');
});

/** The files as a killed process leaves them, in a world of their own. */
function cloneOf(io: ReturnType<typeof createMemoryStorageIo>) {
  return restore(snapshot(io, DIRECTORY));
}

test('a mark is counted as a mark, and not as a group', () => {
  const world = new TestEnvironment();
  const wal = openIn(createMemoryStorageIo(), world.options);
  for (let group = 0; group < 3; group++) {
    wal.append('a');
    wal.append('b');
    wal.syncSync();
  }
  // It was armed by the first sync, and looks again when it finds that more came.
  world.fire();
  world.fire();
  wal.flushSync();
  expect(wal.stats()).toMatchObject({ records: 6, groups: 3, marks: 1 });
  wal.append('c');
  wal.syncSync();
  wal.truncateAfterSync(2);
  wal.append('d');
  wal.syncSync();
  expect(wal.stats()).toMatchObject({ records: 8, groups: 5, marks: 1 });
  wal.closeSync();
});

test('the mark of a recovery is whole: where the name of the segment behind it was not durable, nothing is torn', () => {
  const io = restore(make({ groups: [[100]], unsynced: [100] }).files);
  openIn(io);
  const files = new Map(snapshot(io, DIRECTORY));
  files.delete(segmentNames(files).at(-1) as string);
  expect(openIn(restore(files)).recovery).toMatchObject({ records: 2, cutBytes: 0, reason: 'unclosed' });
});

test('a log that begins anew is not marked until there is a record again', async () => {
  const world = new TestEnvironment();
  const { wal } = opened(world);
  wal.append('a');
  wal.syncSync();
  wal.resetToSync(50);
  while (world.waiting.length > 0) world.fire();
  await new Promise(setImmediate);
  expect(wal.stats().marks).toBe(0);
});
