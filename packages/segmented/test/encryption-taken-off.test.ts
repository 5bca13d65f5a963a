import { decodeSegmentHeader } from '@walstack/codec';
import { LogTail, MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { ringOf } from '../../../harness/test-kit/keys.js';
import { changed, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, recordsOf, texts } from './support/logs.js';

const keyRing = ringOf(1);
const plaintext = (facts: object = {}) =>
  expect.objectContaining({ code: 'WAL_BAD_KEY', reason: 'plaintext', ...facts });
const FORGED = '!';

/** A log of several encrypted segments with two records each. */
function encrypted(config: Partial<SegmentedWalConfig> = {}, io: StorageIo = createMemoryStorageIo()): Snapshot {
  const wal = openIn(io, { keyRing, segmentBytes: 1024, ...config });
  appendSome(wal, 8);
  wal.closeSync();
  return snapshot(io, DIRECTORY);
}

/** A log whose first ten records are in the clear. */
function migrated(): Snapshot {
  const io = createMemoryStorageIo();
  const before = openIn(io, { segmentBytes: 1024 });
  appendSome(before, 10);
  before.closeSync();
  const wal = openIn(io, { segmentBytes: 1024 });
  wal.setEncryptionRing(keyRing);
  appendSome(wal, 10);
  wal.closeSync();
  return snapshot(io, DIRECTORY);
}

function appendSome(wal: SegmentedWal, count: number): void {
  for (let index = 0; index < count; index++) wal.append(`record ${wal.nextLsn} `.padEnd(150, '.'));
  wal.syncSync();
}

const headerOf = (files: Snapshot, name: string): DataView => {
  const bytes = files.get(name) as Uint8Array;
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};
const isEncrypted = (files: Snapshot) => (name: string) => (headerOf(files, name).getUint8(11) & 1) !== 0;

/** CRC32C bit by bit, apart from the library's. */
function crc32c(...pieces: readonly Uint8Array[]): number {
  let crc = ~0;
  for (const byte of Buffer.concat(pieces)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** The header with its checksum put right. */
function withHeader(bytes: Uint8Array, change: (view: DataView) => void): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  change(view);
  view.setUint32(124, crc32c(bytes.subarray(0, 124)), true);
  return bytes;
}

/** What stands for the record at this place, made without a key: in the clear, and of other content. */
function forgeRecord(bytes: Uint8Array, { start, end }: { start: number; end: number }): void {
  bytes[start + 26] = (bytes[start + 26] as number) & ~4;
  bytes.fill(FORGED.charCodeAt(0), start + 32, end);
  const checksum = crc32c(bytes.slice(48, 64), bytes.subarray(start + 8, end));
  new DataView(bytes.buffer, bytes.byteOffset).setUint32(start + 4, checksum, true);
}

/** The file as it can be forged without a key: the same ids and LSNs, in plaintext, with other payloads. */
function inTheClear(bytes: Uint8Array): Uint8Array {
  for (const record of recordsOf(bytes)) if (!record.mark) forgeRecord(bytes, record);
  return withHeader(bytes, (view) => {
    view.setUint8(11, view.getUint8(11) & ~1);
    view.setUint32(12, 0, true);
    view.setBigUint64(112, 0n, true);
  });
}

const forged = (files: Snapshot, names: readonly string[]): Snapshot =>
  names.reduce((all, name) => changed(all, name, inTheClear), files);

const readings: readonly (readonly [string, (io: StorageIo, from: number) => string[]])[] = [
  [
    'opening and replay',
    (io) => {
      const wal = openIn(io, { keyRing });
      try {
        return texts(wal.replay());
      } finally {
        wal.closeSync();
      }
    },
  ],
  [
    'opening to read only, and replay',
    (io) => {
      const wal = openIn(io, { keyRing, recoveryMode: 'readonly' });
      try {
        return texts(wal.replay());
      } finally {
        wal.closeSync();
      }
    },
  ],
  [
    'opening to read only, a ring set later, and read',
    (io, from) => {
      const wal = openIn(io, { recoveryMode: 'readonly' });
      try {
        wal.setEncryptionRing(keyRing);
        return texts([wal.readSync(from)].filter((record) => record !== undefined));
      } finally {
        wal.closeSync();
      }
    },
  ],
  [
    'a tail',
    (io, from) => {
      const tail = new LogTail(io, DIRECTORY, { from, keyRing });
      try {
        return follow(tail);
      } finally {
        tail.close();
      }
    },
  ],
  ['replayDirectory', (io) => texts(replayDirectory(DIRECTORY, { io, keyRing }))],
  ['replayDirectory from an LSN', (io, from) => texts(replayDirectory(DIRECTORY, { io, keyRing, from }))],
];

/** Everything that a tail has to give now. */
function follow(tail: LogTail): string[] {
  const found: string[] = [];
  while (tail.advanceSync()) {
    for (let record = tail.next(); record !== undefined; record = tail.next()) {
      found.push(Buffer.from(record.payload).toString());
    }
  }
  return found;
}

describe.each(readings)('%s', (_how, read) => {
  test.each([
    ['the oldest segment', (names: readonly string[]) => names.slice(0, 1)],
    ['all but the newest segment', (names: readonly string[]) => names.slice(0, -1)],
    ['a segment in the middle', (names: readonly string[]) => names.slice(1, 2)],
    ['the newest segment', (names: readonly string[]) => names.slice(-1)],
    ['all segments', (names: readonly string[]) => names],
  ])('refuses a log of which %s was replaced by records in the clear', (_which, chosen) => {
    const files = encrypted();
    const names = chosen(segmentNames(files));
    const planted = forged(files, names);
    const io = restore(planted);
    const [first] = names as [string];
    expect(() => read(io, Number(first.slice(15, 35)))).toThrow(plaintext());
    expect(sameFiles(snapshot(io, DIRECTORY), planted)).toBe(true);
  });

  test('reads a log that was not encrypted at first', () => {
    const expected = Array.from({ length: 20 }, (_, index) => `record ${index + 1} `.padEnd(150, '.'));
    const found = read(restore(migrated()), 1);
    expect(found).toEqual(expected.slice(0, found.length));
    expect([1, 20]).toContain(found.length);
  });

  test('refuses such a log where encryption was taken off a segment that had it', () => {
    const files = migrated();
    const names = segmentNames(files).filter(isEncrypted(files));
    expect(names.length).toBeGreaterThan(2);
    const [first] = names as [string];
    const io = restore(forged(files, [first]));
    expect(() => read(io, Number(first.slice(15, 35)))).toThrow(plaintext());
  });

  test('refuses a segment in the clear that says it began before the log was encrypted', () => {
    const files = migrated();
    const names = segmentNames(files);
    const first = names.find(isEncrypted(files)) as string;
    // In place of the last segment in the clear and the first one that is encrypted: one with the name of the latter.
    const last = names[names.indexOf(first) - 1] as string;
    const lastLsn = Number(last.slice(15, 35));
    const wide = createMemoryStorageIo();
    const donor = openIn(wide, { firstLsn: lastLsn });
    while (donor.nextLsn < Number((names[names.indexOf(first) + 1] as string).slice(15, 35))) donor.append(FORGED);
    donor.closeSync();
    const donated = snapshot(wide, DIRECTORY);
    const bytes = donated.get(segmentNames(donated)[0] as string) as Uint8Array;
    const id = (files.get(first) as Uint8Array).slice(48, 64);
    const from = headerOf(files, last);
    bytes.set(id, 48);
    bytes.set((files.get(first) as Uint8Array).subarray(32, 48), 32);
    withHeader(bytes, (view) => {
      view.setBigUint64(24, headerOf(files, first).getBigUint64(24, true), true);
      view.setBigUint64(80, from.getBigUint64(80, true), true);
      view.setBigUint64(88, from.getBigUint64(88, true), true);
    });
    bytes.set((files.get(last) as Uint8Array).subarray(96, 112), 96);
    withHeader(bytes, () => {});
    for (const { start, end } of recordsOf(bytes)) {
      const view = new DataView(bytes.buffer, bytes.byteOffset);
      view.setUint32(start + 4, crc32c(id, bytes.subarray(start + 8, end)), true);
    }
    const planted = new Map(files);
    planted.delete(first);
    planted.delete(last);
    planted.set(`wal-${first.slice(4, 14)}-${last.slice(15, 35)}.seg`, bytes);
    expect(() => read(restore(planted), lastLsn)).toThrow(plaintext());
  });

  test('refuses what a header says about the time before it that was changed without the key', () => {
    const files = encrypted();
    const names = segmentNames(files);
    const last = names.at(-1) as string;
    const planted = changed(forged(files, names.slice(0, -1)), last, (bytes) =>
      withHeader(bytes, (view) => view.setBigUint64(112, view.getBigUint64(16, true), true)),
    );
    expect(() => read(restore(planted), 1)).toThrow(expect.objectContaining({ code: 'WAL_BAD_KEY' }));
    // The record that would show it is one in the clear.
    const more = changed(planted, last, (bytes) => {
      forgeRecord(bytes, recordsOf(bytes)[0] as { start: number; end: number });
      return bytes;
    });
    expect(() => read(restore(more), 1)).toThrow(plaintext());
  });
});

describe('a segment that is written', () => {
  const statements = (files: Snapshot): number[] =>
    segmentNames(files).map((name) => Number(headerOf(files, name).getBigUint64(112, true)));

  test('says that nothing in the clear belongs to a log that has always been encrypted', () => {
    expect(new Set(statements(encrypted()))).toEqual(new Set([1]));
    expect(new Set(statements(encrypted({ firstLsn: 500 })))).toEqual(new Set([1]));
  });

  test('says where encryption began, until nothing in the clear is left', () => {
    const io = restore(migrated());
    const isClear = (said: number): boolean => said === 0;
    const before = statements(snapshot(io, DIRECTORY));
    expect(before.filter(isClear)).toHaveLength(before.indexOf(11));
    expect(new Set(before)).toEqual(new Set([0, 11]));
    const wal = openIn(io, { keyRing, segmentBytes: 1024 });
    appendSome(wal, 3);
    expect(statements(snapshot(io, DIRECTORY)).at(-1)).toBe(11);
    wal.truncateBeforeSync(12);
    appendSome(wal, 6);
    wal.closeSync();
    expect(statements(snapshot(io, DIRECTORY)).at(-1)).toBe(1);
  });

  test('says so of the LSN that a cut has made it begin with', () => {
    const io = restore(migrated());
    const wal = openIn(io, { keyRing, segmentBytes: 1024 });
    wal.truncateAfterSync(5);
    appendSome(wal, 1);
    expect(wal.listSegments().at(-1)).toMatchObject({ firstLsn: 6, keyId: 1 });
    expect(statements(snapshot(io, DIRECTORY)).at(-1)).toBe(6);
    expect(texts(wal.replay())).toHaveLength(6);
    wal.resetToSync(3);
    appendSome(wal, 1);
    wal.closeSync();
    expect(statements(snapshot(io, DIRECTORY))).toEqual([1]);
  });
});

test('what is left of a log behind its beginning cannot be put back in the clear', () => {
  const io = restore(encrypted());
  const before = snapshot(io, DIRECTORY);
  const wal = openIn(io, { keyRing, segmentBytes: 1024 });
  wal.truncateBeforeSync(wal.nextLsn);
  appendSome(wal, 1);
  wal.closeSync();
  const after = snapshot(io, DIRECTORY);
  const back = new Map([...forged(before, segmentNames(before)), ...after]);
  back.delete('checkpoint');
  expect(() => openIn(restore(back), { keyRing })).toThrow(plaintext());
});

describe('a log in the clear', () => {
  const clear = (): Snapshot => {
    const io = createMemoryStorageIo();
    const wal = openIn(io);
    wal.append('in the clear');
    wal.closeSync();
    return snapshot(io, DIRECTORY);
  };

  test('is not taken where a ring is given, unless plaintext is allowed or the ring is set once it is open', () => {
    const files = clear();
    const io = restore(files);
    expect(() => openIn(io, { keyRing })).toThrow(plaintext({ lsn: 1 }));
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
    const allowed = openIn(io, { keyRing, allowPlaintext: true });
    allowed.append('encrypted');
    allowed.closeSync();
    const wal = openIn(io, { keyRing });
    expect(texts(wal.replay())).toEqual(['in the clear', 'encrypted']);
    expect(wal.listSegments().map(({ keyId }) => keyId)).toEqual([0, 1]);
    wal.closeSync();
  });

  test('is read, and followed in this process, once a ring was set', () => {
    const io = restore(clear());
    const wal = openIn(io);
    wal.setEncryptionRing(keyRing);
    expect(texts(wal.replay())).toEqual(['in the clear']);
    const tail = new LogTail(io, DIRECTORY, wal.decoding);
    expect(follow(tail)).toEqual(['in the clear']);
    wal.append('encrypted');
    wal.syncSync();
    expect(texts(wal.replay())).toEqual(['in the clear', 'encrypted']);
    expect(follow(tail)).toEqual(['encrypted']);
    tail.close();
    const later = new LogTail(io, DIRECTORY, { keyRing });
    expect(follow(later)).toEqual(['in the clear', 'encrypted']);
    later.close();
    wal.closeSync();
  });
});

test('what a tail waits in is taken in the clear as soon as what follows it is encrypted', () => {
  const io = createMemoryStorageIo();
  const before = openIn(io);
  appendSome(before, 2);
  const tail = new LogTail(io, DIRECTORY, { from: 3, keyRing });
  expect(tail.advanceSync() && tail.next()).toBeFalsy();
  appendSome(before, 2);
  before.closeSync();
  const wal = openIn(io);
  wal.setEncryptionRing(keyRing);
  appendSome(wal, 2);
  const found: number[] = [];
  while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
  expect(found).toEqual([3, 4, 5, 6]);
  tail.close();
  wal.closeSync();
});

test('whether a segment is empty is said without its key', async () => {
  const io = createSyncFsStorageIo();
  const directory = directoryFor(io);
  const wal = await SegmentedWal.open({ directory, io, keyRing });
  wal.append('secret');
  await wal.close();
  using reader = MmapWalReader.open(`${directory}/wal-0000000001-00000000000000000001.seg`);
  expect(reader.isEmpty).toBe(false);
  expect(() => reader.nextRecord()).toThrow(expect.objectContaining({ code: 'WAL_BAD_KEY' }));
  await io.dispose();
});

test('a segment file alone is not taken in the clear by a reader with a ring', async () => {
  const io = createSyncFsStorageIo();
  const directory = directoryFor(io);
  const wal = await SegmentedWal.open({ directory, io });
  wal.append('in the clear');
  await wal.close();
  const path = `${directory}/wal-0000000001-00000000000000000001.seg`;
  const strict = MmapWalReader.open(path, { keyRing });
  expect(() => strict.nextRecord()).toThrow(plaintext());
  strict.close();
  const lenient = MmapWalReader.open(path, { keyRing, allowPlaintext: true });
  expect(Buffer.from(lenient.nextRecord()?.payload as Uint8Array).toString()).toBe('in the clear');
  lenient.close();
  await io.dispose();
});

test('a cut inside of what is in the clear: every later segment says that the log is encrypted from there on', () => {
  const io = restore(migrated());
  const wal = openIn(io, { segmentBytes: 1024, keyRing });
  wal.truncateAfterSync(5);
  appendSome(wal, 20);
  wal.closeSync();
  const files = snapshot(io, DIRECTORY);
  const headers = segmentNames(files).map((name) => decodeSegmentHeader(files.get(name) as Uint8Array, name));
  const from = headers.filter(({ encrypted }) => encrypted).map(({ encryptedFrom }) => encryptedFrom);
  expect(from.length).toBeGreaterThan(2);
  expect(new Set(from)).toEqual(new Set([6]));
});
