import { join } from 'node:path';
import { decodeSegmentHeader, encodeCheckpoint, WalError } from '@walstack/codec';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { TestEnvironment } from './support/environments.js';
import { readFile, restore, type Snapshot, segmentNames, snapshot, writeFile } from './support/files.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';
import { CONFIG, damaged, firstLsnOf, made, NAMES, nameOf, salvage, without } from './support/salvage-logs.js';

const quarantine = join(DIRECTORY, 'quarantine');

/** A directory whose salvage was killed when it had decided, and had changed nothing yet. */
function decided(files: Snapshot, config: Partial<SegmentedWalConfig> = {}): StorageIo {
  const io = restore(files);
  const { rename } = io;
  let isKilled = false;
  Object.defineProperty(io, 'rename', {
    value: (from: string, to: string) => {
      isKilled ||= io.list(DIRECTORY).includes('salvage');
      if (isKilled) throw new Error('killed');
      rename.call(io, from, to);
    },
  });
  const { submitRemove } = io;
  Object.defineProperty(io, 'submitRemove', {
    value: (path: string) => {
      if (isKilled) throw new Error('killed');
      return submitRemove.call(io, path);
    },
  });
  expect(() => salvage(io, config)).toThrow('killed');
  expect(io.list(DIRECTORY)).toContain('salvage');
  const next = restore(snapshot(io, DIRECTORY));
  for (const place of io.list(quarantine)) {
    next.makeDirectory(quarantine);
    next.makeDirectory(join(quarantine, place));
  }
  return next;
}

/** A log like this one, of other records, whose segments have the same names. */
function otherLog(): Snapshot {
  const io = createMemoryStorageIo();
  const wal = SegmentedWal.openSync({
    ...CONFIG,
    directory: DIRECTORY,
    io,
    blockBytes: 512,
    ...new TestEnvironment(77).options,
  });
  for (let lsn = 1; lsn <= 30; lsn++) {
    wal.append(`other ${lsn}`.padEnd(250, '-'));
    wal.syncSync();
  }
  return snapshot(io, DIRECTORY);
}

describe('a salvage that was interrupted', () => {
  test('is gone on with by an opening that has keys by now', () => {
    for (const lsn of [1, 15]) {
      const io = decided(damaged(lsn));
      const wal = salvage(io, { keyRing: ringOf(3), allowPlaintext: true });
      expect(wal.append('encrypted')).toBe(lsn);
      wal.closeSync();
      const again = openIn(io, { ...CONFIG, keyRing: ringOf(3) });
      expect(texts(again.replay())).toEqual([...made.payloads.slice(1, lsn), 'encrypted']);
      again.closeSync();
    }
  });

  test('reports what it has lost and what was lost since, in front of what is kept as well', () => {
    const io = decided(damaged(22));
    // What it keeps is 1 to 21. Then the second segment goes.
    const second = nameOf(1);
    const left = restore(without(snapshot(io, DIRECTORY), second));
    expect(() => salvage(left)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'missing-segment' }));
    const wal = salvage(left, { salvageLsn: 22 });
    const firstLsn = firstLsnOf(nameOf(2));
    expect([wal.firstLsn, wal.lastLsn]).toEqual([firstLsn, 21]);
    expect(wal.recovery.salvage?.lost).toEqual([
      { fromLsn: 1, toLsn: firstLsn - 1 },
      { fromLsn: 22, toLsn: 30 },
    ]);
    expect(wal.recovery.salvage?.damage.lsn).toBe(22);
  });

  test('reports all that it was to keep and is gone since, where no file is left to show it', () => {
    const files = snapshot(decided(damaged(22)), DIRECTORY);
    const firstLsn = firstLsnOf(nameOf(2));
    const front = salvage(restore(without(files, nameOf(0), nameOf(1))), { salvageLsn: 22 });
    expect([front.firstLsn, front.lastLsn]).toEqual([firstLsn, 21]);
    expect(front.recovery.salvage?.lost).toEqual([
      { fromLsn: 1, toLsn: firstLsn - 1 },
      { fromLsn: 22, toLsn: 30 },
    ]);
    // And everything, with the number of the segment that the damage was in.
    const none = new Map([...files].filter(([name]) => !name.startsWith('wal-')));
    const rest = salvage(restore(none), { salvageLsn: 12 });
    expect(rest.nextLsn).toBe(12);
    expect(rest.recovery.salvage?.lost).toEqual([{ fromLsn: 1, toLsn: 30 }]);
  });

  test('does not begin another one because of the clock: also past the year 9999 its file can be read again', () => {
    for (const time of [1_700_000_000_000_000, 8_640_000_000_000_001]) {
      const io = decided(damaged(15), { now: () => time });
      expect(salvage(io).recovery.salvage?.damage).toMatchObject({ lsn: 15, reason: 'hole-before-successor' });
    }
  });

  test('decides anew where something else has taken the place of its file', () => {
    const io = decided(damaged(15));
    const files = snapshot(io, DIRECTORY);
    const { logId } = decodeSegmentHeader(files.get(nameOf(0)) as Uint8Array, 'a segment');
    const checkpoint = encodeCheckpoint({ logId, firstSegment: 1, checkpointLsn: 0, holds: {} });
    const wal = salvage(restore(new Map(files).set('salvage', checkpoint)));
    expect(wal.recovery).toMatchObject({ lastLsn: 14, salvage: { lost: [{ fromLsn: 15, toLsn: 30 }] } });
  });

  test('stays one when the next attempt fails, also where its file cannot be read', () => {
    const io = restore(new Map(made.files).set('salvage', new Uint8Array(9)));
    const { open } = io;
    Object.defineProperty(io, 'open', {
      configurable: true,
      value: (path: string, options?: Parameters<StorageIo['open']>[1]) => {
        if (path.endsWith('next.seg')) throw new WalError('WAL_NO_SPACE', 'the disk is full');
        return open.call(io, path, options);
      },
    });
    expect(() => salvage(io)).toThrow(expect.objectContaining({ code: 'WAL_NO_SPACE' }));
    Object.defineProperty(io, 'open', { value: open.bind(io) });
    expect(() => openIn(io, CONFIG)).toThrow(expect.objectContaining({ reason: 'salvage-unfinished' }));
    const wal = salvage(io);
    expect([wal.lastLsn, wal.recovery.reason]).toEqual([30, 'salvaged']);
  });

  test('is gone on with where a directory has taken the name of the checkpoint, once or again', () => {
    for (const given of [damaged(15), new Map(damaged(15)).set('checkpoint', new Uint8Array(9))]) {
      const io = decided(given);
      const next = restore(without(snapshot(io, DIRECTORY), 'checkpoint'));
      for (const place of io.list(quarantine)) {
        next.makeDirectory(quarantine);
        next.makeDirectory(join(quarantine, place));
        if (given.has('checkpoint')) writeFile(next, join(quarantine, place, 'checkpoint'), new Uint8Array(9));
      }
      next.makeDirectory(join(DIRECTORY, 'checkpoint'));
      const wal = salvage(next);
      expect(wal.lastLsn).toBe(14);
      wal.closeSync();
      openIn(next, CONFIG).closeSync();
      const [place] = next.list(quarantine) as [string];
      const name = given.has('checkpoint') ? 'checkpoint.1' : 'checkpoint';
      expect(next.stat(join(quarantine, place, name)).kind).toBe('directory');
    }
  });

  test('is not gone on with in the directory of another log', () => {
    const io = decided(damaged(1));
    const note = readFile(io, join(DIRECTORY, 'salvage'));
    const other = otherLog();
    // All names are the same.
    expect(segmentNames(other)).toEqual(NAMES);
    const files = new Map([...other, ['salvage', note]]);
    const next = restore(files);
    expect(() => salvage(next)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'other-log' }));
    expect(snapshot(next, DIRECTORY)).toEqual(files);
    expect(() => salvage(next, { salvageLsn: 10 })).toThrow(expect.objectContaining({ reason: 'other-log' }));
    const without = restore(other);
    expect(texts(openIn(without, CONFIG).replay())).toHaveLength(30);
  });

  test('takes no segment of another log, which came since, for its own', () => {
    const io = decided(damaged(1));
    const other = otherLog();
    const wal = SegmentedWal.openSync({
      ...CONFIG,
      directory: DIRECTORY,
      io: restore(other),
      blockBytes: 512,
      ...new TestEnvironment(78).options,
    });
    for (let rolls = segmentNames(other).length; rolls < 20; rolls++) {
      wal.append('more');
      wal.resetToSync(1);
    }
    wal.append('other log');
    wal.closeSync();
    const files = snapshot(wal.io, DIRECTORY);
    const highest = segmentNames(files).at(-1) as string;
    // Its number is not below the one that salvage is to make.
    expect(Number(highest.slice(4, 14))).toBeGreaterThan(NAMES.length);
    writeFile(io, join(DIRECTORY, highest), files.get(highest) as Uint8Array);
    const before = snapshot(io, DIRECTORY);
    expect(() => salvage(io)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'other-log' }));
    expect(snapshot(io, DIRECTORY)).toEqual(before);
    const alone = restore(without(before, highest));
    for (const place of io.list(quarantine)) {
      alone.makeDirectory(quarantine);
      alone.makeDirectory(join(quarantine, place));
    }
    expect(salvage(alone).recovery.salvage?.lost).toEqual([{ fromLsn: 1, toLsn: 30 }]);
  });
});

/** Every file below a directory, by its name. */
function filesBelow(io: StorageIo, directory: string): Map<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of io.list(directory)) {
    const path = join(directory, name);
    if (io.stat(path).kind === 'file') found.set(name, readFile(io, path));
    else for (const [each, bytes] of filesBelow(io, path)) found.set(each, bytes);
  }
  return found;
}

describe('a file that a salvage has moved to quarantine, and that is put back', () => {
  /** Without its third segment the log continues behind it, and all earlier segments are superseded. */
  function salvaged(): StorageIo {
    const io = restore(without(made.files, nameOf(2)));
    const wal = salvage(io, { salvageLsn: 31 });
    expect([wal.firstLsn, wal.lastLsn]).toEqual([firstLsnOf(nameOf(3)), 30]);
    wal.append('on');
    wal.closeSync();
    return io;
  }

  const BACK = NAMES.slice(0, 3);

  function putBack(io: StorageIo): void {
    for (const name of BACK) writeFile(io, join(DIRECTORY, name), made.files.get(name) as Uint8Array);
  }

  function expectKept(io: StorageIo): void {
    const aside = filesBelow(io, quarantine);
    for (const name of BACK) expect(aside.get(name), name).toEqual(made.files.get(name));
    expect(io.list(DIRECTORY).filter((name) => BACK.includes(name))).toEqual([]);
  }

  test('is moved into quarantine again, also before the first segment that is kept', () => {
    const io = salvaged();
    putBack(io);
    const wal = openIn(io, CONFIG);
    expect(wal.lastLsn).toBe(31);
    expectKept(io);
    wal.closeSync();
  });

  test('also where the log has been truncated since, beyond what salvage has made', () => {
    const io = salvaged();
    const wal = openIn(io, CONFIG);
    for (let count = 0; count < 20; count++) {
      wal.append('more'.padEnd(250, '+'));
      wal.syncSync();
    }
    wal.truncateBeforeSync(wal.nextLsn);
    wal.closeSync();
    putBack(io);
    openIn(io, CONFIG).closeSync();
    expectKept(io);
  });

  test('also when the disk is full at first, and the log is truncated then', () => {
    const io = salvaged();
    putBack(io);
    const { makeDirectory } = io;
    Object.defineProperty(io, 'makeDirectory', {
      configurable: true,
      value: () => {
        throw new WalError('WAL_NO_SPACE', 'the disk is full');
      },
    });
    const wal = openIn(io, CONFIG);
    Object.defineProperty(io, 'makeDirectory', { value: makeDirectory.bind(io) });
    wal.append('more');
    wal.truncateBeforeSync(wal.nextLsn);
    expect(io.list(DIRECTORY)).toEqual(expect.arrayContaining(BACK));
    wal.closeSync();
    openIn(io, CONFIG).closeSync();
    expectKept(io);
  });

  test('while what was cut off later is removed', () => {
    const io = salvaged();
    const wal = openIn(io, CONFIG);
    for (let count = 0; count < 20; count++) {
      wal.append('more'.padEnd(250, '+'));
      wal.syncSync();
    }
    const files = snapshot(io, DIRECTORY);
    wal.truncateBeforeSync(wal.nextLsn);
    wal.closeSync();
    // As if a crash had come before the files were gone.
    const left = restore(new Map([...files, ...snapshot(io, DIRECTORY)]));
    const again = openIn(left, CONFIG);
    const { segments } = { segments: again.listSegments() };
    again.closeSync();
    const names = filesBelow(left, DIRECTORY);
    const kept = new Set(segments.map(({ path }) => path.split('/').at(-1)));
    // The segment that salvage has made is the first one that is not older than it.
    for (const name of segmentNames(files)) {
      const isOlder = Number(name.slice(4, 14)) <= NAMES.length;
      expect(names.has(name), name).toBe(isOlder || kept.has(name));
    }
  });
});

test.each([true, false])(
  'a directory with nothing but the file of a salvage that cannot be read is no place for a new log (create: %s)',
  (create) => {
    const io = createMemoryStorageIo();
    io.makeDirectory(DIRECTORY);
    writeFile(io, join(DIRECTORY, 'salvage'), new Uint8Array(100).fill(7));
    for (const recoveryMode of ['salvage', 'strict'] as const) {
      expect(() => openIn(io, { create, recoveryMode })).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT' }));
    }
    expect(segmentNames(snapshot(io, DIRECTORY))).toEqual([]);
  },
);
