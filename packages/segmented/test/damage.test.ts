import { WalError } from '@walstack/codec';
import { describe, expect, test } from 'vitest';
import { changed, cut, flip, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, type Made, make, openIn, recordsOf, texts } from './support/logs.js';

/**
 * Every byte of small logs, damaged one at a time. The lengths put frames at every kind of place: across blocks, at
 * their ends, in the last bytes where none may start.
 */
const GROUPS = [[40, 3, 0], [450], [200, 200, 1, 90], [0], [7], [600, 31], [33, 12, 5]];
const KINDS = [
  ['padded groups', { padGroups: true }],
  ['groups without padding', { padGroups: false }],
] as const;

/** Opens the files; returns what is recovered, or the error. */
function reopen(files: Snapshot): { texts: string[]; firstLsn: number } | WalError {
  const io = restore(files);
  try {
    const wal = openIn(io);
    const found = { texts: texts(wal.replay()), firstLsn: wal.firstLsn };
    expect(wal.nextLsn).toBe(found.firstLsn + found.texts.length);
    wal.closeSync();
    return found;
  } catch (error) {
    if (!WalError.is(error)) throw error;
    if (!sameFiles(snapshot(io, DIRECTORY), files))
      throw new Error('a log that was refused was changed', { cause: error });
    return error;
  }
}

const expectPrefix = (made: Made, result: ReturnType<typeof reopen>, atLeast: number): void => {
  if (result instanceof Error) throw result;
  expect(result.texts).toEqual(made.payloads.slice(1, 1 + result.texts.length));
  expect(result.texts.length).toBeGreaterThanOrEqual(atLeast);
};

const expectCorrupt = (result: ReturnType<typeof reopen>, path: string, lsn: number): void => {
  expect(result).toMatchObject({ code: 'WAL_CORRUPT', path, lsn });
  expect((result as WalError).offset).toBeTypeOf('number');
  expect((result as WalError).reason).toBeTypeOf('string');
};

describe.each(KINDS)('a log of %s', (_kind, config) => {
  describe('that was closed', () => {
    test('refuses every flipped byte of every record, naming file, offset and LSN', () => {
      const made = make({ groups: GROUPS, close: true, config });
      const [name] = segmentNames(made.files) as [string];
      const records = recordsOf(made.files.get(name) as Uint8Array).filter(({ mark }) => !mark);
      expect(records.map(({ lsn }) => lsn)).toEqual(Array.from({ length: made.lastLsn }, (_, index) => index + 1));
      for (const { lsn, start, end } of records) {
        for (let offset = start; offset < end; offset++) {
          for (const mask of [0xff, 0x01]) {
            const result = reopen(changed(made.files, name, flip(offset, mask)));
            expectCorrupt(result, `${DIRECTORY}/${name}`, lsn);
            expect((result as WalError).offset).toBeLessThanOrEqual(start);
          }
        }
      }
    });

    test('refuses every cut inside its records, and recovers all behind a cut of its mark', () => {
      const made = make({ groups: GROUPS, close: true, config });
      const [name] = segmentNames(made.files) as [string];
      const bytes = made.files.get(name) as Uint8Array;
      const records = recordsOf(bytes);
      const lastRecordEnd = records.findLast(({ mark }) => !mark)?.end as number;
      // Without its mark a closed log looks like a killed one: what no later frame proves durable may be cut away.
      for (let length = lastRecordEnd; length <= bytes.length; length++) {
        expectPrefix(made, reopen(changed(made.files, name, cut(length))), made.lastLsn);
      }
    });
  });

  describe('that was killed in mid-stream', () => {
    /** The highest LSN that a frame of these proves durable, as the format says it. */
    const provenBy = (bytes: Uint8Array, frames: ReturnType<typeof recordsOf>): number => {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      return Math.max(0, ...frames.map(({ lsn, start }) => lsn - view.getUint32(start + 20, true)));
    };

    test('refuses every flipped byte of a record that a later frame proves durable, and else keeps what is before', () => {
      const made = make({ groups: GROUPS, unsynced: [20, 300, 0, 80], config });
      const [name] = segmentNames(made.files) as [string];
      const bytes = made.files.get(name) as Uint8Array;
      const frames = recordsOf(bytes);
      let refused = 0;
      let recovered = 0;
      for (const [index, { lsn, start, end }] of frames.entries()) {
        const proven = provenBy(bytes, frames.slice(index + 1)) >= lsn;
        for (let offset = start; offset < end; offset++) {
          const result = reopen(changed(made.files, name, flip(offset)));
          if (proven) {
            expectCorrupt(result, `${DIRECTORY}/${name}`, lsn);
            refused++;
          } else {
            expectPrefix(made, result, lsn - 1);
            recovered++;
          }
        }
      }
      expect(refused).toBeGreaterThan(1000);
      expect(recovered).toBeGreaterThan(400);
    });

    test('recovers everything before its last group, wherever that is cut or damaged', () => {
      const made = make({ groups: GROUPS, unsynced: [20, 300, 0, 80], config });
      const [name] = segmentNames(made.files) as [string];
      const bytes = made.files.get(name) as Uint8Array;
      const group = recordsOf(bytes).find(({ lsn }) => lsn === made.durableLsn + 1)?.start as number;
      for (let offset = group; offset < bytes.length; offset++) {
        expectPrefix(made, reopen(changed(made.files, name, cut(offset))), made.durableLsn);
        expectPrefix(made, reopen(changed(made.files, name, flip(offset))), made.durableLsn);
      }
    });

    test('drops a last group whose blocks arrived in any order, in part or as garbage', () => {
      const made = make({ groups: GROUPS, unsynced: [700, 700, 20, 700, 5, 900], config });
      const [name] = segmentNames(made.files) as [string];
      const bytes = made.files.get(name) as Uint8Array;
      const start = recordsOf(bytes).find(({ lsn }) => lsn === made.durableLsn + 1)?.start as number;
      const sectors = Math.ceil((bytes.length - start) / 512);
      for (let survivors = 0; survivors < 2 ** sectors; survivors++) {
        for (const garbage of [0, 0xa5]) {
          const files = changed(made.files, name, (changedBytes) => {
            for (let sector = 0; sector < sectors; sector++) {
              if ((survivors & (1 << sector)) !== 0) continue;
              changedBytes.fill(garbage, start + sector * 512, start + (sector + 1) * 512);
            }
            return changedBytes;
          });
          expectPrefix(made, reopen(files), made.durableLsn);
        }
      }
    });
  });

  test('is the same after recovering it again and again', () => {
    const made = make({ groups: GROUPS, unsynced: [20, 300], config });
    const [name] = segmentNames(made.files) as [string];
    const bytes = made.files.get(name) as Uint8Array;
    let files = changed(made.files, name, cut(bytes.length - 600));
    const first = reopen(files);
    for (let time = 0; time < 4; time++) {
      const io = restore(files);
      const wal = openIn(io);
      expect({ texts: texts(wal.replay()), firstLsn: wal.firstLsn }).toEqual(first);
      // Killed, not closed.
      files = snapshot(io, DIRECTORY);
      expect(segmentNames(files)).toHaveLength(2);
    }
  });
});

describe('a log of several segments', () => {
  const config = { segmentBytes: 1024 };
  const groups = Array.from({ length: 12 }, (_, index) => [100 + index, 200 - index]);

  test('refuses every flipped byte of every record that a later segment proves durable', () => {
    const made = make({ groups, config });
    const names = segmentNames(made.files);
    expect(names.length).toBeGreaterThan(5);
    for (const name of names.slice(0, -1)) {
      const frames = recordsOf(made.files.get(name) as Uint8Array);
      for (const { lsn, start, end } of frames) {
        for (let offset = start; offset < end; offset++) {
          expectCorrupt(reopen(changed(made.files, name, flip(offset))), `${DIRECTORY}/${name}`, lsn);
        }
      }
    }
  });

  test('refuses every flipped byte of every header that says something, and every cut of a sealed segment', () => {
    const made = make({ groups, config });
    for (const name of segmentNames(made.files)) {
      for (let offset = 0; offset < 128; offset++) {
        const result = reopen(changed(made.files, name, flip(offset)));
        expect(result).toMatchObject({ code: 'WAL_CORRUPT', path: `${DIRECTORY}/${name}` });
      }
    }
    for (const name of segmentNames(made.files).slice(0, -1)) {
      const frames = recordsOf(made.files.get(name) as Uint8Array);
      for (let length = 0; length < (frames.at(-1)?.end as number); length += 13) {
        expect(reopen(changed(made.files, name, cut(length)))).toMatchObject({ code: 'WAL_CORRUPT' });
      }
    }
  });

  test('refuses a chain with a segment missing, doubled, foreign or renamed, naming the neighbours', () => {
    const made = make({ groups, config });
    const other = make({ groups, config: { ...config, randomBytes: (bytes) => new Uint8Array(bytes).fill(9) } });
    const names = segmentNames(made.files);
    const [first, second, third] = names as [string, string, string];
    const without = (name: string): Snapshot => new Map([...made.files].filter(([each]) => each !== name));

    expect(reopen(without(second))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'missing-segment' });
    expect((reopen(without(second)) as WalError).message).toContain(third);
    expect((reopen(without(second)) as WalError).message).toContain(first);
    expect(reopen(without(first))).toMatchObject({ code: 'WAL_CORRUPT', reason: 'missing-segment' });

    const foreign = new Map(made.files).set(second, other.files.get(second) as Uint8Array);
    expect(reopen(foreign)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'other-log' });
    expect((reopen(foreign) as WalError).message).toContain(third);

    const doubled = new Map(made.files).set(
      second.replace(/-\d+\.seg/, `-${'99'.padStart(20, '0')}.seg`),
      made.files.get(second) as Uint8Array,
    );
    expect(reopen(doubled)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'duplicated-segment' });

    const renamed = new Map([...without(second)]).set(second, made.files.get(third) as Uint8Array);
    expect(reopen(renamed)).toMatchObject({ code: 'WAL_CORRUPT', reason: 'renamed-segment' });
  });

  test('refuses what a later version wrote, and changes nothing', () => {
    const made = make({ groups: [[10]], close: true });
    const [name] = segmentNames(made.files) as [string];
    const later = changed(made.files, name, (bytes) => {
      new DataView(bytes.buffer).setUint16(8, 2, true);
      return resealHeader(bytes);
    });
    expect(reopen(later)).toMatchObject({ code: 'WAL_UNSUPPORTED_VERSION', reason: 'version' });
    const unknownFlag = changed(made.files, name, (bytes) => {
      bytes[11] = 4;
      return resealHeader(bytes);
    });
    expect(reopen(unknownFlag)).toMatchObject({ code: 'WAL_UNSUPPORTED_VERSION', reason: 'unknown-flags' });
    const encrypted = changed(made.files, name, (bytes) => {
      bytes[11] = 1;
      bytes[12] = 77;
      // Encrypted from LSN 1 on.
      bytes[112] = 1;
      return resealHeader(bytes);
    });
    expect(reopen(encrypted)).toMatchObject({ code: 'WAL_BAD_KEY', keyId: 77 });
  });
});

/** CRC32C bit by bit, apart from the library's. */
function resealHeader(bytes: Uint8Array): Uint8Array {
  let crc = ~0;
  for (const byte of bytes.subarray(0, 124)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  new DataView(bytes.buffer).setUint32(124, ~crc, true);
  return bytes;
}
