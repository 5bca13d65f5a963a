import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeSegmentHeader,
  encodeCheckpoint,
  KeyRing,
  sealFrames,
  segmentFileName,
  segmentSeed,
  WalError,
  writeMark,
} from '@walstack/codec';
import { replayDirectory } from '@walstack/mmap-reader';
import { Batch, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { TestEnvironment } from './support/environments.js';
import {
  changed,
  flip,
  readFile,
  restore,
  type Snapshot,
  sameFiles,
  segmentNames,
  snapshot,
  writeFile,
} from './support/files.js';
import { DIRECTORY, make, openIn, recordsOf, texts } from './support/logs.js';
import { CONFIG, damaged, firstLsnOf, made, NAMES, nameOf, salvage, without } from './support/salvage-logs.js';

const { logId } = decodeSegmentHeader(made.files.get(nameOf(0)) as Uint8Array, 'a segment');

const withFile = (files: Snapshot, name: string, bytes: Uint8Array): Snapshot => new Map(files).set(name, bytes);
const withCheckpoint = (files: Snapshot, more: object = {}): Snapshot =>
  withFile(files, 'checkpoint', encodeCheckpoint({ logId, firstSegment: 1, checkpointLsn: 0, holds: {}, ...more }));

const corrupt = (facts: object = {}) => expect.objectContaining({ code: 'WAL_CORRUPT', ...facts });

/** A segment of another log, with a number and a first LSN of its own. */
function foreign(number: number, firstLsn: number): readonly [string, Uint8Array] {
  const io = createMemoryStorageIo();
  const options = {
    ...CONFIG,
    directory: DIRECTORY,
    io,
    blockBytes: 512,
    ...new TestEnvironment(77).options,
    firstLsn,
  };
  const wal = SegmentedWal.openSync(options);
  for (let roll = 1; roll < number; roll++) {
    wal.append('old');
    wal.syncSync();
    wal.resetToSync(firstLsn + (number - 1 - roll) * 10);
  }
  wal.append('foreign one');
  wal.append('foreign two');
  wal.syncSync();
  const name = segmentFileName(number, firstLsn);
  return [name, readFile(io, join(DIRECTORY, name))];
}

/** What salvage gave up, by name; and what strict finds then. */
function after(io: StorageIo, wal: SegmentedWal) {
  const { salvage: report } = wal.recovery;
  const kept = texts(wal.replay());
  wal.closeSync();
  const again = openIn(io, CONFIG);
  expect(again.recovery.reason).toBe('clean');
  expect(texts(again.replay())).toEqual(kept);
  again.closeSync();
  expect(io.list(report?.quarantine as string)).toEqual(['salvage', ...(report?.quarantined ?? [])].sort());
  return { kept, lost: report?.lost, quarantined: report?.quarantined };
}

/** Expects an error, and files that are as they were. */
function refused(files: Snapshot, config: Partial<SegmentedWalConfig>, error: object): void {
  const io = restore(files);
  expect(() => openIn(io, { ...CONFIG, ...config })).toThrow(expect.objectContaining(error));
  expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
}

const ALL = made.payloads.slice(1);
const SALVAGE = { recoveryMode: 'salvage' } as const;

describe('which log it is', () => {
  const [name, bytes] = foreign(9, 500);

  test('old copies beside a newer checkpoint of the same log are kept from their beginning on, and no file is removed', () => {
    const files = withCheckpoint(made.files, { firstSegment: 40 });
    refused(files, SALVAGE, { code: 'WAL_CORRUPT', reason: 'missing-segment' });
    const io = restore(files);
    expect(after(io, salvage(io, { salvageLsn: 31 })).kept).toEqual(ALL);
    for (const each of NAMES) expect(io.list(DIRECTORY)).toContain(each);
  });

  test('a segment of another log with a higher number takes nothing over', () => {
    const files = withFile(made.files, name, bytes);
    refused(files, {}, { code: 'WAL_CORRUPT' });
    refused(files, SALVAGE, { code: 'WAL_CORRUPT', reason: 'other-log' });
    refused(files, { ...SALVAGE, salvageLsn: 502 }, { code: 'WAL_CORRUPT', reason: 'other-log' });
    const io = restore(withCheckpoint(files, { checkpointLsn: 3 }));
    expect(after(io, salvage(io))).toEqual({ kept: ALL, lost: [], quarantined: [name] });
  });

  test('of two segments with one number it is neither, without a salvageLsn', () => {
    /** Goes on with a copy of the log, behind an LSN. */
    const goneOn = (lsn: number): Snapshot => {
      const io = restore(made.files);
      const wal = openIn(io, CONFIG);
      wal.truncateAfterSync(lsn);
      wal.append('gone on');
      wal.closeSync();
      return snapshot(io, DIRECTORY);
    };
    const files = goneOn(20);
    const other = goneOn(10);
    const [newest, own] = [other, files].map((each) => segmentNames(each).at(-1) as string) as [string, string];
    expect(newest.slice(0, 14)).toBe(own.slice(0, 14));
    const both = withFile(files, newest, other.get(newest) as Uint8Array);
    refused(both, {}, { code: 'WAL_CORRUPT', reason: 'duplicated-segment' });
    refused(both, SALVAGE, { code: 'WAL_CORRUPT', reason: 'duplicated-segment' });
  });

  test('nor where nothing of the own log is kept', () => {
    const io = restore(withCheckpoint(withFile(damaged(1), name, bytes)));
    expect(after(io, salvage(io))).toEqual({
      kept: [],
      lost: [{ fromLsn: 1, toLsn: 30 }],
      quarantined: [...NAMES, name],
    });
    const newest = segmentNames(snapshot(io, DIRECTORY)).at(-1) as string;
    expect(decodeSegmentHeader(readFile(io, join(DIRECTORY, newest)), newest).logId).toEqual(logId);
  });

  test('a checkpoint of another log is moved to quarantine, unless a segment that cannot be read may belong to it', () => {
    const files = withCheckpoint(made.files, { logId: new Uint8Array(16).fill(9), checkpointLsn: 90, firstSegment: 3 });
    const io = restore(files);
    expect(after(io, salvage(io))).toEqual({ kept: ALL, lost: [], quarantined: ['checkpoint'] });
    refused(changed(files, nameOf(1), flip(20)), SALVAGE, { code: 'WAL_CORRUPT', reason: 'other-log' });
  });

  test.each([
    ['under a higher first LSN', 2, 999],
    ['under a lower one', 2, 2],
    ['in the place of no other', 40, 12],
  ])('a copy of a segment %s changes nothing', (_where, number, firstLsn) => {
    const copy = segmentFileName(number, firstLsn);
    const files = withFile(made.files, copy, made.files.get(nameOf(1)) as Uint8Array);
    refused(files, {}, { code: 'WAL_CORRUPT' });
    const io = restore(files);
    expect(after(io, salvage(io))).toEqual({ kept: ALL, lost: [], quarantined: [copy] });
  });

  test('strict does not remove a segment of another log that has a number below the first one kept', () => {
    const source = restore(made.files);
    const wal = openIn(source, CONFIG);
    wal.truncateBeforeSync(20);
    wal.closeSync();
    const [low, content] = foreign(1, 700);
    const files = withFile(snapshot(source, DIRECTORY), low, content);
    refused(files, {}, { code: 'WAL_CORRUPT', reason: 'other-log' });
    const io = restore(files);
    expect(after(io, salvage(io)).quarantined).toContain(low);
    // A segment that cannot be read is not removed.
    const garbage = restore(withFile(snapshot(source, DIRECTORY), low, new Uint8Array(700).fill(7)));
    openIn(garbage, CONFIG).closeSync();
    expect(garbage.list(DIRECTORY)).toContain(low);
  });

  test('what is left of a log is no new one', () => {
    const io = createMemoryStorageIo();
    io.makeDirectory(DIRECTORY);
    io.makeDirectory(join(DIRECTORY, 'quarantine'));
    expect(() => openIn(io)).toThrow(corrupt({ reason: 'missing-segment' }));
    expect(openIn(io, { ...SALVAGE, salvageLsn: 77 }).nextLsn).toBe(77);
  });

  test('a link that leads nowhere, or a directory, in the place of a segment is a missing one', async () => {
    const io = createSyncFsStorageIo();
    const directory = join(temporaryDirectory(), 'log');
    const config = { ...CONFIG, directory, io, blockBytes: 512 };
    SegmentedWal.openSync(config).closeSync();
    symlinkSync('/nowhere/at/all', join(directory, segmentFileName(7, 70)));
    mkdirSync(join(directory, segmentFileName(8, 80)));
    for (const recoveryMode of ['strict', 'readonly'] as const) {
      expect(() => SegmentedWal.openSync({ ...config, recoveryMode })).toThrow(corrupt({ reason: 'missing-segment' }));
    }
    const wal = SegmentedWal.openSync({ ...config, ...SALVAGE, salvageLsn: 1 });
    expect(wal.recovery.salvage?.quarantined).toEqual([
      segmentFileName(1, 1),
      segmentFileName(7, 70),
      segmentFileName(8, 80),
    ]);
    wal.closeSync();
    SegmentedWal.openSync(config).closeSync();
    await io.dispose();
  });
});

describe('core and key of a log are checked before a salvage', () => {
  const keyRing = KeyRing.of({ id: 3, key: new Uint8Array(32).fill(3) });
  const wrong = KeyRing.of({ id: 3, key: new Uint8Array(32).fill(4) });
  const groups = Array.from({ length: 12 }, () => [250]);
  const encrypted = make({ groups, config: { ...CONFIG, keyRing, coreId: 4 } }).files;

  test.each([
    ['no key', {}, { code: 'WAL_BAD_KEY', reason: 'missing-key' }],
    ['another key', { keyRing: wrong }, { code: 'WAL_BAD_KEY' }],
    ['another core', { keyRing, coreId: 5 }, { code: 'WAL_BAD_HEADER', reason: 'other-core' }],
  ])('%s is rejected, also when nothing is kept', (_what, config, error) => {
    refused(damaged(1, encrypted), { ...SALVAGE, ...config }, error);
  });

  test('readonly refuses a wrong key as strict does', () => {
    for (const recoveryMode of ['strict', 'readonly'] as const) {
      refused(encrypted, { keyRing: wrong, recoveryMode }, { code: 'WAL_BAD_KEY' });
    }
  });

  test('with the key it continues encrypted', () => {
    const wal = salvage(restore(damaged(1, encrypted)), { keyRing, coreId: 4 });
    expect(wal.listSegments().at(-1)?.keyId).toBe(3);
  });
});

describe('what strict opens after salvage', () => {
  test('a mark with fields that cannot be, where the log is cut', () => {
    const name = nameOf(-1);
    const bytes = (made.files.get(name) as Uint8Array).slice();
    const end = recordsOf(bytes).at(-1)?.end as number;
    const longer = new Uint8Array(bytes.length + 512);
    longer.set(bytes);
    const { segmentId, blockBytes } = decodeSegmentHeader(bytes, name);
    writeMark(new DataView(longer.buffer), end, 31, 1, 0);
    longer[end + 24] = 3;
    sealFrames(longer, end, end + 32, end, blockBytes, segmentSeed(segmentId));
    const files = withFile(made.files, name, longer);
    refused(files, {}, { code: 'WAL_CORRUPT', reason: 'impossible-fields' });
    const io = restore(files);
    expect(after(io, salvage(io))).toEqual({ kept: ALL, lost: [], quarantined: [] });
  });

  test('a log of whose truncated segments copies are there', () => {
    const source = restore(made.files);
    const wal = openIn(source, CONFIG);
    wal.truncateBeforeSync(20);
    wal.closeSync();
    const { firstLsn } = wal;
    const copies = new Map([...made.files].slice(0, 2));
    const twice = withFile(
      new Map([...snapshot(source, DIRECTORY), ...copies]),
      segmentFileName(1, 5),
      new Uint8Array(9),
    );
    refused(twice, {}, { code: 'WAL_CORRUPT', reason: 'duplicated-segment' });
    const io = restore(twice);
    const found = after(io, salvage(io));
    expect(found.kept).toEqual(made.payloads.slice(firstLsn));
    expect(found.lost).toEqual([]);
    expect(found.quarantined).toEqual(expect.arrayContaining([...copies.keys(), segmentFileName(1, 5)]));
  });
});

describe('what made it impossible', () => {
  test('a file with a number that no log reaches', () => {
    const name = segmentFileName(9_999_999_999, 12);
    const io = restore(withFile(made.files, name, new Uint8Array(1000).fill(3)));
    expect(after(io, salvage(io))).toEqual({ kept: ALL, lost: [], quarantined: [name] });
  });

  test('a checkpoint and no segment: it asks where to go on', () => {
    const files = withCheckpoint(new Map(), { firstSegment: 6, checkpointLsn: 20 });
    refused(files, SALVAGE, { code: 'WAL_CORRUPT', reason: 'missing-segment' });
    const io = restore(files);
    const wal = salvage(io, { salvageLsn: 15 });
    expect([wal.nextLsn, wal.checkpointLsn]).toEqual([15, 14]);
    expect(after(io, wal)).toEqual({ kept: [], lost: [{ fromLsn: 15, toLsn: 20 }], quarantined: [] });
  });

  test('a damaged checkpoint of any size is moved, not read', () => {
    const io = restore(withFile(made.files, 'checkpoint', new Uint8Array(48 * 1024 * 1024)));
    expect(after(io, salvage(io)).quarantined).toEqual(['checkpoint']);
    expect(io.stats().bytesRead).toBeLessThan(8 * 1024 * 1024);
  });

  test.each([
    { firstSegment: 9_999_999_998 },
    { firstSegment: Number.MAX_SAFE_INTEGER },
    { salvagedBelow: 10_000_000_000 },
  ])('a checkpoint with a number that no log reaches: %j', (more) => {
    const io = restore(withCheckpoint(damaged(15), more));
    const { kept, quarantined } = after(io, salvage(io));
    expect(kept).toEqual(made.payloads.slice(1, 15));
    expect(quarantined).toContain('checkpoint');
  });

  test('a file with the name of quarantine', () => {
    const io = restore(withFile(damaged(15), 'quarantine', new Uint8Array(3)));
    const wal = salvage(io);
    expect(wal.recovery.salvage?.quarantine).toContain(join(DIRECTORY, 'quarantine-1'));
    expect(after(io, wal).kept).toEqual(made.payloads.slice(1, 15));
    expect(io.stat(join(DIRECTORY, 'quarantine')).kind).toBe('file');
  });

  test('a directory with the name of the file salvage says nothing of the log, and is in the way of a salvage', async () => {
    for (const files of [made.files, damaged(15)]) {
      const io = restore(files);
      io.makeDirectory(join(DIRECTORY, 'salvage'));
      if (files === made.files) {
        expect(texts(openIn(io, { ...CONFIG, recoveryMode: 'readonly' }).replay())).toEqual(ALL);
        const read: number[] = [];
        await replayDirectory(DIRECTORY, { io }).forEach(({ lsn }) => void read.push(lsn));
        expect(read).toHaveLength(30);
        salvage(io).closeSync();
        expect(texts(openIn(io, CONFIG).replay())).toEqual(ALL);
      } else {
        expect(() => openIn(io, CONFIG)).toThrow(corrupt({ reason: 'hole-before-successor' }));
        const said = corrupt({ reason: 'salvage-name', path: join(DIRECTORY, 'salvage') });
        expect(() => salvage(io)).toThrow(said);
        expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
        io.rename(join(DIRECTORY, 'salvage'), join(DIRECTORY, 'elsewhere'));
        expect(after(io, salvage(io)).kept).toEqual(made.payloads.slice(1, 15));
      }
      expect(io.list(DIRECTORY).filter((each) => each === 'salvage' || each === 'elsewhere')).toHaveLength(1);
    }
    const io = createMemoryStorageIo();
    io.makeDirectory(DIRECTORY);
    io.makeDirectory(join(DIRECTORY, 'salvage'));
    expect(() => openIn(io, CONFIG)).toThrow(expect.objectContaining({ code: 'WAL_FOREIGN_DIRECTORY' }));
  });

  test('the same when a copy of a quarantined file is put back', () => {
    const files = damaged(15);
    const io = restore(withFile(files, 'quarantine', new Uint8Array(3)));
    salvage(io).closeSync();
    const name = nameOf(-1);
    writeFile(io, join(DIRECTORY, name), files.get(name) as Uint8Array);
    openIn(io, CONFIG).closeSync();
    expect(io.list(DIRECTORY)).not.toContain(name);
    const places = io.list(join(DIRECTORY, 'quarantine-1'));
    expect(places.filter((each) => io.list(join(DIRECTORY, 'quarantine-1', each)).includes(name))).toHaveLength(2);
  });

  test.each(['rename', 'makeDirectory', 'submitWrite', 'submitSyncDirectory'] as const)(
    'an attempt that fails in %s leaves nothing behind, however often it is made',
    (call) => {
      const files = damaged(15);
      for (let which = 1; ; which++) {
        const io = restore(files);
        const real = io[call].bind(io) as (...args: unknown[]) => never;
        let calls = 0;
        let armed = true;
        const failing = (...args: unknown[]): never => {
          if (armed && ++calls === which)
            throw new WalError('WAL_IO_FAILED', 'this call fails', { systemCode: 'EPERM' });
          return real(...args);
        };
        Object.defineProperty(io, call, { value: failing });
        for (let attempt = 0; attempt < 3; attempt++) {
          calls = 0;
          try {
            salvage(io).closeSync();
            break;
          } catch (error) {
            expect(error).toMatchObject({ code: 'WAL_IO_FAILED' });
            const { length } = segmentNames(snapshot(io, DIRECTORY));
            expect(length).toBeLessThanOrEqual(NAMES.length + 1);
            // Until the log is half repaired, and that is written down, it is as it was.
            const place = io.list(DIRECTORY).includes('quarantine') ? io.list(join(DIRECTORY, 'quarantine')) : [];
            expect(place.length).toBeLessThanOrEqual(1);
            const left = place.flatMap((each) => io.list(join(DIRECTORY, 'quarantine', each)));
            if (!left.includes('salvage') && !io.list(DIRECTORY).includes('salvage')) {
              expect(sameFiles(without(snapshot(io, DIRECTORY), 'checkpoint.new'), files)).toBe(true);
            }
          }
        }
        armed = false;
        if (calls < which) return;
        expect(texts(salvage(io).replay())).toEqual(made.payloads.slice(1, 15));
      }
    },
  );
});

describe('what only the checkpoint proves', () => {
  const atEnd = damaged(30);
  const lost = [{ fromLsn: 30, toLsn: 30 }];

  test.each([
    ['its LSN', { checkpointLsn: 30 }, 'hole-before-checkpoint'],
    ['a hold', { holds: { reader: 31 } }, 'hole-before-hold'],
  ])('is reported as lost: %s', (_what, more, reason) => {
    const files = withCheckpoint(atEnd, more);
    refused(files, {}, { code: 'WAL_CORRUPT', reason });
    const io = restore(files);
    expect(after(io, salvage(io))).toEqual({ kept: made.payloads.slice(1, 30), lost, quarantined: [] });
  });

  test('stays proven when an attempt fails behind the new checkpoint, until one has reported it', () => {
    const files = withCheckpoint(atEnd, { checkpointLsn: 30 });
    for (let which = 1; ; which++) {
      const io = restore(files);
      const real = io.submitSyncDirectory.bind(io);
      let calls = 0;
      const failing: StorageIo['submitSyncDirectory'] = (...args) => {
        if (++calls === which) throw new WalError('WAL_IO_FAILED', 'this call fails', { systemCode: 'EIO' });
        return real(...args);
      };
      Object.defineProperty(io, 'submitSyncDirectory', { value: failing });
      try {
        salvage(io).closeSync();
        if (calls < which) return;
      } catch (error) {
        expect(error).toMatchObject({ code: 'WAL_IO_FAILED' });
      }
      const quarantine = join(DIRECTORY, 'quarantine');
      const places = io.list(DIRECTORY).includes('quarantine') ? io.list(quarantine) : [];
      if (places.some((place) => io.list(join(quarantine, place)).includes('salvage'))) continue;
      expect(() => openIn(io, CONFIG)).toThrow(corrupt());
      expect(salvage(io).recovery.salvage?.lost).toEqual(lost);
    }
  });
});

test('a log that is damaged further while a salvage is interrupted is salvaged on, with one report on all of it', () => {
  const io = restore(damaged(15));
  const real = io.rename.bind(io);
  let armed = true;
  const failing: StorageIo['rename'] = (from, to) => {
    if (armed && from === join(DIRECTORY, 'salvage')) throw new WalError('WAL_IO_FAILED', 'this call fails');
    real(from, to);
  };
  Object.defineProperty(io, 'rename', { value: failing });
  expect(() => salvage(io)).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
  armed = false;
  writeFile(io, join(DIRECTORY, nameOf(0)), damaged(3).get(nameOf(0)) as Uint8Array);
  const wal = salvage(io);
  expect(wal.recovery.salvage?.damage).toMatchObject({ lsn: 15 });
  const { kept, lost, quarantined } = after(io, wal);
  expect(kept).toEqual(made.payloads.slice(1, 3));
  expect(lost).toEqual([{ fromLsn: 3, toLsn: 30 }]);
  expect(quarantined).toEqual(expect.arrayContaining(NAMES.slice(1)));
  expect(io.list(join(DIRECTORY, 'quarantine'))).toHaveLength(1);
});

describe('salvageLsn', () => {
  test('is of no importance where salvage can tell by itself', () => {
    const io = restore(damaged(15));
    expect(salvage(io, { salvageLsn: 4 }).nextLsn).toBe(15);
  });

  test('keeps a batch as a whole or not at all', () => {
    const source = createMemoryStorageIo();
    const wal = openIn(source, CONFIG);
    wal.append('one');
    const batch = new Batch();
    for (const text of ['two', 'three', 'four']) batch.add(text);
    wal.appendBatch(batch);
    wal.syncSync();
    const files = withFile(snapshot(source, DIRECTORY), segmentFileName(3, 90), new Uint8Array(600).fill(1));
    for (const [salvageLsn, kept] of [
      [3, 1],
      [4, 1],
      [5, 4],
    ] as const) {
      const io = restore(files);
      const log = salvage(io, { salvageLsn });
      expect(log.lastLsn).toBe(kept);
      expect(after(io, log).kept).toHaveLength(kept);
    }
  });

  test('is asked for where the chain breaks, whatever is missing further down', () => {
    const { files } = make({ groups: Array.from({ length: 60 }, () => [250]), config: CONFIG });
    const [first, second, , fourth, fifth, sixth] = segmentNames(files) as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    const emptied = changed(files, first, (bytes) => bytes.slice(0, 512));
    const garbage = new Uint8Array(600).fill(1);
    const broken = withFile(withFile(without(emptied, fourth), fifth, garbage), sixth, garbage);
    const upToSixth = new Map([...broken].filter(([name]) => name <= sixth));
    expect(() => salvage(restore(upToSixth))).toThrow(/give salvageLsn/);
    const log = salvage(restore(upToSixth), { salvageLsn: firstLsnOf(fourth) });
    expect(log.recovery).toMatchObject({ firstLsn: firstLsnOf(second), lastLsn: firstLsnOf(fourth) - 1 });
  });

  test('that is too high costs one pass over the log', () => {
    const reads = [12, 48].map((groups) => {
      const { files } = make({ groups: Array.from({ length: groups }, () => [900]), config: { segmentBytes: 1024 } });
      const names = segmentNames(files);
      const io = restore(without(files, names[1] as string));
      expect(() => salvage(io, { salvageLsn: 900 })).toThrow(corrupt({ reason: 'missing-segment' }));
      return io.stats().submitted / names.length;
    });
    expect(reads[1]).toBeLessThan(1.5 * (reads[0] as number));
  });
});

describe('a salvage that was killed', () => {
  /** All files below a directory, as a killed process leaves them. */
  function copyTree(from: StorageIo, to: StorageIo, directory = DIRECTORY): void {
    to.makeDirectory(directory);
    for (const name of from.list(directory)) {
      const path = join(directory, name);
      if (name.startsWith('LOCK')) continue;
      if (from.stat(path).kind === 'directory') copyTree(from, to, path);
      else writeFile(to, path, readFile(from, path));
    }
  }

  const CHANGES = ['rename', 'makeDirectory', 'submitWrite', 'submitTruncate', 'submitRemove'] as const;

  test.each([
    ['in the middle', withCheckpoint(damaged(15), { checkpointLsn: 25, holds: { reader: 28 } })],
    ['with a damaged checkpoint', withFile(damaged(3), 'checkpoint', new Uint8Array(40).fill(5))],
    ['with nothing kept', damaged(1)],
    ['at a missing segment', without(withCheckpoint(made.files, { checkpointLsn: 2 }), nameOf(1))],
  ])('at any change goes on, and reports the same: %s', (_what, files) => {
    const config = { salvageLsn: 31 };
    const whole = restore(files);
    const expected = salvage(whole, config);
    const segmentsIn = (io: StorageIo) => io.list(DIRECTORY).filter((name) => name.startsWith('wal-'));
    for (let which = 1; ; which++) {
      const io = restore(files);
      let changes = 0;
      for (const call of CHANGES) {
        const real = io[call].bind(io) as (...args: unknown[]) => never;
        const counted = (...args: unknown[]): never => {
          if (++changes > which) throw new Error('killed');
          return real(...args);
        };
        Object.defineProperty(io, call, { value: counted });
      }
      try {
        salvage(io, config);
        expect(which).toBeGreaterThan(10);
        return;
      } catch (error) {
        expect((error as Error).message).toBe('killed');
      }
      const next = createMemoryStorageIo();
      copyTree(io, next);
      const segments = segmentsIn(next);
      let strict: unknown;
      try {
        openIn(next, CONFIG).closeSync();
      } catch (error) {
        strict = error;
      }
      // It is refused until salvage has ended, and has reported.
      const reports = next.list(DIRECTORY).includes('quarantine')
        ? next.list(join(DIRECTORY, 'quarantine')).flatMap((each) => next.list(join(DIRECTORY, 'quarantine', each)))
        : [];
      if (strict === undefined) {
        expect(reports).toContain('salvage');
        // Only then it is over: the log had been opened as any other.
        expect(segments).toEqual(segmentsIn(whole));
      } else {
        expect(strict).toMatchObject({ code: 'WAL_CORRUPT' });
        const { recovery, checkpointLsn, holds } = salvage(next, config);
        expect([checkpointLsn, holds]).toEqual([expected.checkpointLsn, expected.holds]);
        const { salvage: report, ...rest } = recovery;
        const { salvage: wanted, ...others } = expected.recovery;
        expect(rest).toEqual(others);
        expect([report?.lost, report?.quarantined]).toEqual([wanted?.lost, wanted?.quarantined]);
        expect(report?.damage.reason).toBe(wanted?.damage.reason);
      }
    }
  });

  test('is refused by strict and readonly until it has ended', () => {
    const files = withFile(made.files, 'salvage', new Uint8Array(3));
    for (const recoveryMode of ['strict', 'readonly'] as const) {
      refused(files, { recoveryMode }, { code: 'WAL_CORRUPT', reason: 'salvage-unfinished' });
    }
    // What it was to do is not to be read any more: it decides anew.
    const io = restore(files);
    expect(after(io, salvage(io)).kept).toEqual(ALL);
  });
});

describe('what is lost', () => {
  test('is nothing before a segment of which nothing but the name is left', () => {
    const files = withFile(withCheckpoint(new Map()), segmentFileName(4, 19), new Uint8Array(0));
    expect(salvage(restore(files), { salvageLsn: 18 }).recovery.salvage?.lost).toEqual([]);
  });

  test('counts nothing that was truncated', () => {
    const source = restore(made.files);
    const wal = openIn(source, CONFIG);
    wal.truncateBeforeSync(20);
    wal.closeSync();
    const files = new Map([...made.files, ...snapshot(source, DIRECTORY)]);
    const io = restore(damaged(25, files));
    const found = salvage(io);
    expect(found.recovery.salvage?.lost).toEqual([{ fromLsn: 25, toLsn: 30 }]);
    expect(found.recovery.salvage?.quarantined).toEqual(expect.arrayContaining(NAMES.slice(0, 2)));
  });

  test('is found behind every damaged range, and in a segment whose header is lost', () => {
    const holes = salvage(restore(damaged(29, damaged(27))));
    expect(holes.recovery.salvage?.lost).toEqual([{ fromLsn: 27, toLsn: 30 }]);
    const header = salvage(restore(changed(made.files, nameOf(-1), flip(20))));
    expect(header.recovery.salvage?.lost).toEqual([{ fromLsn: firstLsnOf(nameOf(-1)), toLsn: 30 }]);
  });

  test.each([512, 1024, 4096, 65_536])(
    'also where the header is that of the only segment, of blocks of %i bytes',
    (blockBytes) => {
      const whole = make({ groups: Array.from({ length: 9 }, () => [250, 3, 700]), config: { blockBytes } });
      const [name] = segmentNames(whole.files) as [string];
      const wal = salvage(restore(changed(whole.files, name, flip(20))));
      expect([wal.lastLsn, wal.recovery.salvage?.lost]).toEqual([0, [{ fromLsn: 1, toLsn: 27 }]]);
    },
  );

  /** A log whose second, newest segment has many small records, most of them in few groups. */
  function long(bytes: number): Snapshot {
    const killed = createMemoryStorageIo();
    const wal = openIn(killed);
    wal.append('first');
    wal.syncSync();
    // A log that was closed would go on in the same segment.
    const io = restore(snapshot(killed, DIRECTORY));
    const again = openIn(io, { segmentBytes: 2 * bytes, maxPendingBytes: 2 * bytes });
    for (let end = 0, lsn = 2; end < bytes; end += 40, lsn++) {
      again.append('12345678');
      if (lsn % 256 === 0) again.syncSync();
    }
    again.syncSync();
    return snapshot(io, DIRECTORY);
  }

  test('costs few reads in a segment whose header is lost', () => {
    const files = long(1024 * 1024);
    const [, name] = segmentNames(files) as [string, string];
    const io = restore(changed(files, name, flip(20)));
    let reads = 0;
    const { submitRead } = io;
    Object.defineProperty(io, 'submitRead', {
      value: (...args: Parameters<StorageIo['submitRead']>) => {
        reads++;
        return submitRead.apply(io, args);
      },
    });
    expect(salvage(io).recovery.salvage?.lost).toEqual([{ fromLsn: 2, toLsn: 2 + Math.floor((1024 * 1024) / 40) }]);
    expect(reads).toBeLessThan(100);
  });

  test('costs time linear in the bytes of the segment, however many damaged ranges it has', () => {
    const files = long(4 * 1024 * 1024);
    const [, name] = segmentNames(files) as [string, string];
    const io = restore(
      changed(files, name, (bytes) => {
        for (let at = 5000; at < bytes.length - 1000; at += 4096) bytes.fill(0xaa, at, at + 4);
        return bytes;
      }),
    );
    const { bytesRead } = io.stats();
    const wal = salvage(io);
    expect(wal.recovery.salvage?.lost.at(-1)?.toLsn).toBe(2 + Math.floor((4 * 1024 * 1024) / 40));
    expect(io.stats().bytesRead - bytesRead).toBeLessThan(12 * (files.get(name) as Uint8Array).length);
  });
});
