import { Batch, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { TestEnvironment } from './support/environments.js';
import { changed, flip, restore, type Snapshot, segmentNames, snapshot } from './support/files.js';
import { lsnsOf, skipCorrupt } from './support/hole-logs.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';
import { CONFIG, firstLsnOf, made, NAMES, nameOf, without } from './support/salvage-logs.js';

/** A log that was cut over the end of a segment, so that a number is not there, and went on; again and again. */
function cutLog(cuts: readonly number[] = [4]): { readonly files: Snapshot; readonly payloads: readonly string[] } {
  const io = createMemoryStorageIo();
  const options = { directory: DIRECTORY, io, blockBytes: 512, ...CONFIG, ...new TestEnvironment().options };
  const wal = SegmentedWal.openSync(options);
  for (const cut of cuts) {
    while (wal.lastLsn < cut + 6) wal.append(`old ${wal.nextLsn} `.padEnd(250, 'o'));
    wal.syncSync();
    wal.truncateAfterSync(cut);
  }
  while (wal.nextLsn <= 40) wal.append(`new ${wal.nextLsn} `.padEnd(250, 'n'));
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
    message: expect.stringContaining(' 5, if no segment is missing before it'),
  });
  expect(() => skipCorrupt(restore(broken), { ...CONFIG, salvageLsn: [6, nextLsn] })).toThrow('beside 6, ');
  for (const salvageLsn of [undefined, 6, nextLsn]) {
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

test('a segment that is missing before a damaged one begins where the operator says: what it had cut off does not come back', () => {
  const { files, payloads } = cutLog([2]);
  const [, missing, damaged, next] = segmentNames(files) as [string, string, string, string];
  expect(firstLsnOf(missing)).toBe(3);
  const broken = changed(without(files, missing), damaged, flip(50));
  expect(refusalOf(broken)).toContain(`${firstLsnOf(damaged)}, if no segment is missing before it`);
  expect(refusalOf(broken)).toContain('the first LSN of the missing one, from 2 on');
  const io = restore(broken);
  const wal = skipCorrupt(io, { ...CONFIG, salvageLsn: 3 });
  expect(wal.recovery.holes).toEqual([{ firstLsn: 3, lastLsn: firstLsnOf(next) - 1, reason: 'header' }]);
  const expected = [...payloads.slice(0, 2), ...payloads.slice(firstLsnOf(next) - 1)];
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual(expected);
  wal.closeSync();
  expect(openIn(io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);
});

test('of missing segments that follow each other all may be named: the first of them counts', () => {
  const { files, payloads } = cutLog([2]);
  const [, second, third, next] = segmentNames(files) as [string, string, string, string];
  const broken = without(files, second, third);
  const wal = skipCorrupt(restore(broken), { ...CONFIG, salvageLsn: [firstLsnOf(third), firstLsnOf(second)] });
  expect(wal.recovery.holes).toEqual([{ firstLsn: 3, lastLsn: firstLsnOf(next) - 1, reason: 'missing-segment' }]);
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual([
    ...payloads.slice(0, 2),
    ...payloads.slice(firstLsnOf(next) - 1),
  ]);
  wal.closeSync();

  const beginning = NAMES.slice(0, 3);
  const begun = skipCorrupt(restore(without(made.files, ...beginning)), {
    ...CONFIG,
    salvageLsn: beginning.map(firstLsnOf),
  });
  expect(begun.recovery).toMatchObject({ firstLsn: 1, holes: [{ firstLsn: 1, lastLsn: firstLsnOf(nameOf(3)) - 1 }] });
  begun.closeSync();
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
  expect(begins.recovery).toMatchObject({ firstLsn: next, holes: [], salvage: { lost: [] } });
  begins.closeSync();
});

/** The numbers of segments, and their first LSNs. */
const inOrder = (files: Snapshot): (readonly [number, number])[] =>
  segmentNames(files).map((name) => [Number(name.slice(4, 14)), firstLsnOf(name)]);

/** The message with which a salvage around damage is refused. */
function refusalOf(files: Snapshot, salvageLsn?: number | readonly number[]): string {
  try {
    skipCorrupt(restore(files), { ...CONFIG, ...(salvageLsn === undefined ? {} : { salvageLsn }) });
  } catch (error) {
    expect(error).toEqual(isAsked);
    return (error as Error).message;
  }
  throw new Error('the salvage is not refused');
}

test('several places in which the order is not shown are asked for at once, and confirmed by a list', () => {
  const { files, payloads } = cutLog([4, 18]);
  const all = inOrder(files);
  const behind = all.filter(([number], index) => index > 0 && number !== (all[index - 1]?.[0] ?? 0) + 1);
  expect(behind.map(([, lsn]) => lsn)).toEqual([5, 19]);
  const broken = segmentNames(files)
    .filter((name) => [5, 19].includes(firstLsnOf(name)))
    .reduce((each, name) => changed(each, name, flip(50)), files);
  expect(refusalOf(broken)).toMatch(/: 5, if no segment .*; 19, if no segment /);
  expect(refusalOf(broken, 5)).toMatch(/: beside 5: 19, if no segment /);
  expect(refusalOf(broken, [19])).toMatch(/: beside 19: 5, if no segment /);
  const io = restore(broken);
  const wal = skipCorrupt(io, { ...CONFIG, salvageLsn: [19, 5] });
  const nextOf = (lsn: number): number => all[all.findIndex(([, each]) => each === lsn) + 1]?.[1] as number;
  expect(wal.recovery.holes).toEqual([
    { firstLsn: 5, lastLsn: nextOf(5) - 1, reason: 'header' },
    { firstLsn: 19, lastLsn: nextOf(19) - 1, reason: 'header' },
  ]);
  const lost = new Set(lsnsOf(wal.recovery.holes));
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual(payloads.filter((_, index) => !lost.has(index + 1)));
  wal.closeSync();
  expect(openIn(io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);
});

test('two missing segments are two holes, with everything between', () => {
  const files = without(made.files, nameOf(1), nameOf(3));
  const [second, third, fourth, fifth] = [1, 2, 3, 4].map((index) => firstLsnOf(nameOf(index))) as [
    number,
    number,
    number,
    number,
  ];
  const wanted = [`before ${third}, from 2 to ${third - 1};`, `before ${fifth}, from ${third + 1} to ${fifth - 1}`];
  for (const each of wanted) expect(refusalOf(files)).toContain(each);
  // One LSN is no answer for both: what is between would be lost.
  expect(refusalOf(files, second)).toContain(wanted[1]);
  expect(refusalOf(files, fourth)).toContain(`before ${third},`);
  expect(refusalOf(files, [second, third])).toContain(wanted[1]);
  const io = restore(files);
  const wal = skipCorrupt(io, { ...CONFIG, salvageLsn: [second, fourth] });
  expect(wal.recovery.holes).toEqual([
    { firstLsn: second, lastLsn: third - 1, reason: 'missing-segment' },
    { firstLsn: fourth, lastLsn: fifth - 1, reason: 'missing-segment' },
  ]);
  const lost = new Set(lsnsOf(wal.recovery.holes));
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual(
    made.payloads.filter((_, index) => index > 0 && !lost.has(index)),
  );
  wal.closeSync();
  expect(openIn(io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);
});

test.each([
  ['of the next one', 1],
  ['of the next two', 2],
])('a log without its first file, and with a damaged header %s, needs the LSN with which it began', (_, count) => {
  const broken = NAMES.slice(1, 1 + count).reduce(
    (each, name) => changed(each, name, flip(50)),
    without(made.files, nameOf(0)),
  );
  const [second, next] = [firstLsnOf(nameOf(1)), firstLsnOf(nameOf(1 + count))];
  expect(refusalOf(broken)).toContain(`below ${second}, or ${second} if nothing is missed`);
  const io = restore(broken);
  const wal = skipCorrupt(io, { ...CONFIG, salvageLsn: 1 });
  expect(wal.recovery).toMatchObject({ firstLsn: 1, salvage: { lost: [{ fromLsn: 1, toLsn: next - 1 }] } });
  expect(wal.recovery.holes).toEqual([{ firstLsn: 1, lastLsn: next - 1, reason: 'header' }]);
  wal.closeSync();
  expect(openIn(io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);

  const begins = skipCorrupt(restore(broken), { ...CONFIG, salvageLsn: second });
  expect(begins.recovery.holes).toEqual([{ firstLsn: second, lastLsn: next - 1, reason: 'header' }]);
  begins.closeSync();
});

test('a segment that began where an empty one did is missing: the lowest LSN that is asked for costs nothing', () => {
  const io = createMemoryStorageIo();
  const options = { directory: DIRECTORY, io, blockBytes: 512, ...CONFIG, ...new TestEnvironment().options };
  const wal = SegmentedWal.openSync(options);
  while (wal.lastLsn < 10) wal.append(`old ${wal.nextLsn} `.padEnd(250, 'o'));
  wal.syncSync();
  wal.truncateAfterSync(4);
  wal.closeSync();
  // Behind it a segment with the same first LSN is made, as that one is not encrypted.
  const config = { ...CONFIG, keyRing: ringOf(1), allowPlaintext: true };
  const again = SegmentedWal.openSync({ ...options, ...config });
  while (again.nextLsn <= 40) again.append(`new ${again.nextLsn} `.padEnd(250, 'n'));
  again.closeSync();
  const files = snapshot(io, DIRECTORY);
  const [empty, missing, next] = segmentNames(files).filter((name) => firstLsnOf(name) > 4) as [string, string, string];
  expect([empty, missing].map(firstLsnOf)).toEqual([5, 5]);
  const nextLsn = firstLsnOf(next);
  const broken = without(files, missing);
  expect(() => skipCorrupt(restore(broken), { ...config, salvageLsn: 5 })).toThrow(`from 6 to ${nextLsn - 1}`);
  const salvaged = skipCorrupt(restore(broken), { ...config, salvageLsn: 6 });
  expect(lsnsOf(salvaged.recovery.holes)).toEqual(Array.from({ length: nextLsn - 5 }, (_, index) => 5 + index));
  expect(salvaged.recovery.records).toBe(40 - (nextLsn - 5));
  salvaged.closeSync();
});

test('a list is for a salvage around damage: the other one goes on at one LSN', () => {
  const config = { ...CONFIG, recoveryMode: 'salvage', salvageLsn: [1, 2] } as const;
  expect(() => openIn(restore(made.files), config)).toThrow(expect.objectContaining({ code: 'ERR_INVALID_ARG_TYPE' }));
});
