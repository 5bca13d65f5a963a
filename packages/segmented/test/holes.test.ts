import { join } from 'node:path';
import { MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import { describe, expect, test } from 'vitest';
import { changed, flip, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { filesInQuarantine, framesIn, makeHoleLog, skipCorrupt } from './support/hole-logs.js';
import { DIRECTORY, make, openIn, recordsOf, texts } from './support/logs.js';
import { CONFIG, damaged, firstLsnOf, made, NAMES, nameOf, without } from './support/salvage-logs.js';

const salvaged = (files: Snapshot) => skipCorrupt(restore(files), CONFIG);

const others = (...lost: readonly number[]): (string | undefined)[] =>
  made.payloads.slice(1).filter((_, index) => !lost.includes(index + 1));

describe('one damaged record', () => {
  test.each([1, 2, 9, 15, 22])('with LSN %i is a hole, and everything else is there', (lsn) => {
    const files = damaged(lsn);
    const wal = salvaged(files);
    const hole = { firstLsn: lsn, lastLsn: lsn, reason: 'unreadable' };
    expect(wal.recovery).toMatchObject({ mode: 'skip-corrupt', reason: 'salvaged', records: 29, lastLsn: 30 });
    expect(wal.recovery.holes).toEqual([hole]);
    expect(wal.recovery.salvage).toMatchObject({
      lost: [{ fromLsn: lsn, toLsn: lsn }],
      damage: { code: 'WAL_CORRUPT' },
    });
    expect(texts(wal.replay({ onHole: 'skip' }))).toEqual(others(lsn));
    const facts = expect.objectContaining({ code: 'WAL_HOLE', firstLsn: lsn, lastLsn: lsn });
    expect(() => texts(wal.replay())).toThrow(facts);
    expect(() => wal.readSync(lsn)).toThrow(facts);
    expect(() => texts(wal.replayFrom(lsn))).toThrow(facts);
    expect(texts(wal.replayFrom(lsn + 1))).toEqual(made.payloads.slice(lsn + 1));
    expect(wal.append('onward')).toBe(31);
    wal.closeSync();
    const [[name, original] = ['', undefined]] = filesInQuarantine(wal.io);
    expect(original).toEqual(files.get(name));
  });

  test('is a hole for readers of the directory and of the segment', () => {
    const lsn = 9;
    const wal = salvaged(damaged(lsn));
    wal.closeSync();
    const facts = expect.objectContaining({ code: 'WAL_HOLE', firstLsn: lsn, lastLsn: lsn });
    expect(() => [...replayDirectory(DIRECTORY, { io: wal.io })]).toThrow(facts);
    expect(() => [...replayDirectory(DIRECTORY, { io: wal.io, from: lsn })]).toThrow(facts);
    expect([...replayDirectory(DIRECTORY, { io: wal.io, from: lsn, onHole: 'skip' })][0]?.lsn).toBe(lsn + 1);
    expect(() => replayDirectory(DIRECTORY, { io: wal.io, onHole: 'ignore' as 'skip' })).toThrow(RangeError);
    expect(() => MmapWalReader.open(join('/nowhere', nameOf(0)), { onHole: 'ignore' as 'skip' })).toThrow(RangeError);
  });
});

test('a segment whose header is damaged is a hole as a whole', () => {
  const files = changed(made.files, nameOf(1), flip(50));
  const wal = salvaged(files);
  const [firstLsn, next] = [firstLsnOf(nameOf(1)), firstLsnOf(nameOf(2))];
  expect(wal.recovery.holes).toEqual([{ firstLsn, lastLsn: next - 1, reason: 'header' }]);
  expect(texts(wal.replay({ onHole: 'skip' }))).toEqual([
    ...made.payloads.slice(1, firstLsn),
    ...made.payloads.slice(next),
  ]);
  wal.closeSync();
  expect(openIn(wal.io, CONFIG).recovery.holes).toEqual(wal.recovery.holes);
});

test('a missing segment needs the LSN with which it began', () => {
  const files = without(made.files, nameOf(1));
  expect(() => salvaged(files)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }));
  const [firstLsn, next] = [firstLsnOf(nameOf(1)), firstLsnOf(nameOf(2))];
  const wal = skipCorrupt(restore(files), { ...CONFIG, salvageLsn: firstLsn });
  expect(wal.recovery.holes).toEqual([{ firstLsn, lastLsn: next - 1, reason: 'missing-segment' }]);
  wal.closeSync();
});

test('a salvage that keeps a prefix keeps the holes before its cut', () => {
  const wal = salvaged(damaged(4));
  wal.closeSync();
  const first = wal.recovery.holes;
  const last = NAMES.at(-2) as string;
  const path = join(DIRECTORY, last);
  const bytes = new Map([...made.files]).get(last) as Uint8Array;
  const file = wal.io.open(path, { create: true, truncate: true });
  wal.io.close(file);
  expect(bytes.length).toBeGreaterThan(0);
  const prefix = openIn(wal.io, { ...CONFIG, recoveryMode: 'salvage' });
  expect(prefix.recovery).toMatchObject({ reason: 'salvaged', holes: first, lastLsn: firstLsnOf(last) - 1 });
});

test('a cut inside a hole leaves the part before it', () => {
  const name = nameOf(1);
  const wal = salvaged(changed(made.files, name, flip(50)));
  const { firstLsn } = wal.recovery.holes[0] as { firstLsn: number };
  wal.truncateAfterSync(firstLsn + 1);
  expect(wal.append('instead')).toBe(firstLsn + 2);
  wal.closeSync();
  const again = openIn(wal.io, CONFIG);
  expect(again.recovery.holes).toEqual([{ firstLsn, lastLsn: firstLsn + 1, reason: 'header' }]);
  expect(texts(again.replay({ onHole: 'skip' }))).toEqual([...made.payloads.slice(1, firstLsn), 'instead']);
});

test('records of which only the checkpoint is left are a hole at the end', () => {
  const io = restore(made.files);
  const wal = openIn(io, CONFIG);
  wal.checkpointSync(30);
  wal.closeSync();
  const files = snapshot(io, DIRECTORY);
  const newest = segmentNames(files).findLast((name) => recordsOf(files.get(name) as Uint8Array).length > 1) as string;
  const [first] = recordsOf(files.get(newest) as Uint8Array);
  const left = [...files].filter(([name]) => !name.startsWith('wal-') || name <= newest);
  const cut = changed(new Map(left), newest, (bytes) => bytes.fill(0, first?.end));
  const around = salvaged(cut);
  const firstLsn = firstLsnOf(newest) + 1;
  expect(around.recovery.holes).toEqual([{ firstLsn, lastLsn: 30, reason: 'end' }]);
  expect(around.append('onward')).toBe(31);
  around.closeSync();
});

test('the log of a core is refused, and not changed: other logs depend on what a hole may have held', () => {
  const files = make({ groups: Array.from({ length: 30 }, () => [250]), config: { ...CONFIG, coreId: 4 } }).files;
  for (const config of [{}, { coreId: 4 }]) {
    const before = damaged(9, files);
    const io = restore(before);
    const refused = (): unknown => skipCorrupt(io, { ...CONFIG, ...config });
    expect(refused).toThrow(expect.objectContaining({ code: 'WAL_UNSUPPORTED', path: DIRECTORY }));
    expect(sameFiles(snapshot(io, DIRECTORY), before)).toBe(true);
  }
});

test('the flags of a damaged record are not believed where more of it is damaged: no part of its batch is kept', () => {
  const steps = [[50], [50], [60, 60, 60], [50], [50]].map((lengths) => ({ lengths, sync: false }));
  const { files, appended } = makeHoleLog(steps, true);
  const { name, start } = framesIn(files).find(({ lsn }) => lsn === 3) as { name: string; start: number };
  // The flags, which say that the batch goes on, the codec, the time, and some of the payload.
  const zeros = changed(files, name, (bytes) => bytes.fill(0, start + 26, start + 40));
  const wal = skipCorrupt(restore(zeros), { blockBytes: 512 });
  const there = Array.from(wal.replay({ onHole: 'skip' }), ({ lsn }) => lsn);
  expect(there).toEqual(appended.filter(({ batch }) => batch !== 3).map(({ lsn }) => lsn));
  wal.closeSync();
});
