import { join } from 'node:path';
import { segmentFileName } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { changed, flip, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, openIn, recordsOf, texts } from './support/logs.js';

const CONFIG = { segmentBytes: 2048 };
const made = make({ groups: Array.from({ length: 30 }, () => [250]), config: CONFIG });
const SALVAGE = { ...CONFIG, recoveryMode: 'salvage' } as const;
const MODES = ['strict', 'readonly'] as const;

/** The log without the records of its first segments. */
function truncated(): Snapshot {
  const io = restore(made.files);
  openIn(io, CONFIG).truncateBeforeSync(15);
  return snapshot(io, DIRECTORY);
}

/** The files with one of them under another name, and there as well where it was copied. */
function renamed(files: Snapshot, from: string, to: string, copied = false): Snapshot {
  const bytes = files.get(from) as Uint8Array;
  return new Map([...files].filter(([name]) => copied || name !== from)).set(to, bytes);
}

/** With one byte of the record with this LSN inverted. */
function damaged(files: Snapshot, lsn: number): Snapshot {
  const name = segmentNames(files).findLast((each) => Number(each.slice(15, 35)) <= lsn) as string;
  const record = recordsOf(files.get(name) as Uint8Array).find((each) => each.lsn === lsn && !each.mark);
  return changed(files, name, flip((record?.start as number) + 100));
}

function expectRefused(files: Snapshot, error: object): void {
  for (const recoveryMode of MODES) {
    const io = restore(files);
    expect(() => openIn(io, { ...CONFIG, recoveryMode })).toThrow(expect.objectContaining(error));
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
  }
}

function appendMore(wal: SegmentedWal): void {
  for (let count = 0; count < 20; count++) {
    wal.append('more'.padEnd(250, '+'));
    wal.syncSync();
  }
}

describe('a segment under a name that is not its own', () => {
  const BELOW = segmentFileName(1, 1);

  test('the newest one with records, under a number before the log, is missing and not left over', () => {
    const files = truncated();
    const withRecords = segmentNames(files).findLast((name) => recordsOf(files.get(name) as Uint8Array).length > 0);
    const newest = withRecords as string;
    const last = segmentNames(files).at(-1) as string;
    const without = new Map([...files].filter(([name]) => name <= newest || !name.startsWith('wal-')));
    expectRefused(renamed(without, newest, BELOW), { code: 'WAL_CORRUPT', reason: 'renamed-segment' });
    expectRefused(renamed(files, last, BELOW), { code: 'WAL_CORRUPT', reason: 'renamed-segment' });
    const io = restore(renamed(without, newest, BELOW));
    const wal = openIn(io, SALVAGE);
    expect(wal.recovery.salvage?.quarantined).toEqual([BELOW]);
    expect(wal.recovery.salvage?.lost).toEqual([{ fromLsn: wal.nextLsn, toLsn: 30 }]);
  });

  test('a copy is left where it is', () => {
    const files = truncated();
    const [, second] = segmentNames(files) as [string, string];
    const io = restore(renamed(files, second, BELOW, true));
    const wal = openIn(io, CONFIG);
    expect(wal.lastLsn).toBe(30);
    wal.closeSync();
    expect(snapshot(io, DIRECTORY).get(BELOW)).toEqual(files.get(second));
  });
});

describe('the number of the segment that the last salvage has made', () => {
  test('proves that there was one, with all that stands behind it', () => {
    const io = restore(damaged(made.files, 15));
    const wal = openIn(io, SALVAGE);
    appendMore(wal);
    wal.closeSync();
    const files = snapshot(io, DIRECTORY);
    const older = new Map([...files].filter(([name]) => !name.startsWith('wal-') || made.files.has(name)));
    expect(older.size).toBeGreaterThan(1);
    expectRefused(older, { code: 'WAL_CORRUPT', reason: 'missing-segment', path: join(DIRECTORY, 'checkpoint') });
    const again = openIn(restore(older), SALVAGE);
    expect(texts(again.replay())).toEqual(made.payloads.slice(1, 15));
    expect(again.listSegments().at(-1)?.number).toBeGreaterThan(segmentNames(made.files).length + 1);
  });
});

describe('a file with a number that no log reaches, or nearly', () => {
  test.each([9_000_000_000, 8_999_999_998])(
    'what is appended behind a salvage that gave up number %i is not given up by the next one',
    (number) => {
      const files = new Map(made.files).set(segmentFileName(number, 31), new Uint8Array(700).fill(7));
      const io = restore(files);
      const wal = openIn(io, SALVAGE);
      appendMore(wal);
      expect(wal.lastLsn).toBe(50);
      wal.holdSync('kept', 40);
      wal.closeSync();
      const next = restore(damaged(snapshot(io, DIRECTORY), 45));
      const again = openIn(next, SALVAGE);
      expect([again.firstLsn, again.lastLsn]).toEqual([1, 44]);
      expect(again.recovery.salvage?.lost).toEqual([{ fromLsn: 45, toLsn: 50 }]);
      expect(again.holds).toEqual({ kept: 40 });
      again.closeSync();
      expect(openIn(next, CONFIG).lastLsn).toBe(44);
    },
  );
});

describe('a directory that has a name which the log needs for a file', () => {
  const withDirectory = (io: StorageIo, name: string): StorageIo => {
    io.makeDirectory(join(DIRECTORY, name));
    return io;
  };

  test.each(['next.seg', 'checkpoint.new', 'salvage.new'])('%s: refused before anything is changed', (name) => {
    const said = expect.objectContaining({ code: 'WAL_IO_FAILED', reason: 'taken-name', path: join(DIRECTORY, name) });
    for (const files of [made.files, damaged(made.files, 15)]) {
      const io = withDirectory(restore(files), name);
      for (const config of [CONFIG, SALVAGE]) expect(() => openIn(io, config)).toThrow(said);
      expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
      io.rename(join(DIRECTORY, name), join(DIRECTORY, 'elsewhere'));
      openIn(io, SALVAGE).closeSync();
    }
    const reading = withDirectory(restore(made.files), name);
    expect(openIn(reading, { ...CONFIG, recoveryMode: 'readonly' }).lastLsn).toBe(30);
    const empty = createMemoryStorageIo();
    empty.makeDirectory(DIRECTORY);
    expect(() => openIn(withDirectory(empty, name), CONFIG)).toThrow(said);
  });
});
