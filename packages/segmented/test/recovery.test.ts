import { join } from 'node:path';
import { SegmentedWal } from '@walstack/segmented';
import { createSyncFsStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { changed, cut, readFile, restore, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, make, openIn, recordsOf, texts } from './support/logs.js';

/** CRC32C bit by bit, apart from the library's. */
function crc32c(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

test('the checksum of every frame covers the id of its segment, and ids differ from segment to segment', () => {
  const made = make({ groups: [[300, 300], [300, 300], [300]], config: { segmentBytes: 1024 }, close: true });
  const ids = new Set<string>();
  for (const name of segmentNames(made.files)) {
    const bytes = made.files.get(name) as Uint8Array;
    const id = bytes.subarray(48, 64);
    ids.add(Buffer.from(id).toString('hex'));
    for (const { start, end } of recordsOf(bytes)) {
      const expected = crc32c(Buffer.concat([id, bytes.subarray(start + 8, end)]));
      expect(new DataView(bytes.buffer).getUint32(start + 4, true)).toBe(expected);
    }
  }
  expect(ids.size).toBe(segmentNames(made.files).length);
});

describe('the torn tail', () => {
  test('is cut off behind the mark of recovery, and reported', () => {
    const made = make({ groups: [[100], [200]], unsynced: [900, 900, 900] });
    const [name] = segmentNames(made.files) as [string];
    const whole = made.files.get(name) as Uint8Array;
    const torn = changed(made.files, name, (bytes) => bytes.fill(0xee, 1100, 1110));
    const io = restore(torn);
    const wal = openIn(io);
    expect(wal.recovery).toMatchObject({ cleanlyClosed: false, records: 2, lastLsn: 2 });
    const after = snapshot(io, DIRECTORY).get(name) as Uint8Array;
    const frames = recordsOf(after);
    expect(frames.map(({ lsn, mark }) => [lsn, mark])).toEqual([
      [1, false],
      [2, false],
      [3, true],
    ]);
    const end = frames.at(-1)?.end as number;
    expect(after.length).toBe(Math.ceil(end / 512) * 512);
    expect(after.subarray(end).every((byte) => byte === 0)).toBe(true);
    expect(wal.recovery.cutBytes).toBe(whole.length - (frames[1]?.end as number));
    expect(wal.append('third')).toBe(3);
    wal.closeSync();
    expect(texts(openIn(io).replayFrom(3))).toEqual(['third']);
  });

  test('is cut behind a mark too, when that is the last thing that can be read', () => {
    const made = make({ groups: [[100]], close: true });
    const [name] = segmentNames(made.files) as [string];
    const length = (made.files.get(name) as Uint8Array).length;
    const files = changed(made.files, name, (bytes) => Buffer.concat([bytes, Buffer.alloc(3000, 0x55)]));
    const io = restore(files);
    const wal = openIn(io);
    expect(wal.recovery).toMatchObject({ cleanlyClosed: false, records: 1 });
    expect((snapshot(io, DIRECTORY).get(name) as Uint8Array).length).toBe(Math.ceil(length / 512) * 512);
    wal.closeSync();
  });

  test('of zeros alone is no torn tail', () => {
    const made = make({ groups: [[100]], close: true });
    const [name] = segmentNames(made.files) as [string];
    const io = restore(changed(made.files, name, (bytes) => Buffer.concat([bytes, Buffer.alloc(5000)])));
    expect(openIn(io).recovery).toMatchObject({ cleanlyClosed: true, cutBytes: 0 });
  });

  test('hides what a killed process still writes into the old file', () => {
    const made = make({ groups: [[100], [100]], unsynced: [100, 100] });
    const [name] = segmentNames(made.files) as [string];
    const late = made.files.get(name) as Uint8Array;
    const torn = recordsOf(late)[2]?.start as number;
    const io = restore(changed(made.files, name, cut(torn)));
    const wal = openIn(io);
    expect(wal.nextLsn).toBe(3);
    wal.append('mine');
    wal.syncSync();
    const file = io.open(join(DIRECTORY, name));
    runSync(io, ioSteps.write(io, file, late.subarray(torn), torn));
    io.close(file);
    const again = openIn(restore(snapshot(io, DIRECTORY)));
    expect(texts(again.replayFrom(3))).toEqual(['mine']);
  });
});

test('on real files, records of every size around the buffers are read back', () => {
  const io = createSyncFsStorageIo();
  const directory = join(temporaryDirectory(), 'log');
  const KIB = 1024;
  const sizes = [0, 255, 256, 257, 319, 320, 321, 1000, 1023, 1024, 1025, 3000].flatMap((each) => [
    each * KIB - 32,
    each * KIB,
  ]);
  for (const blockBytes of [512, 4096, 65_536]) {
    const wal = SegmentedWal.openSync({ directory, io, blockBytes, segmentBytes: 4 * KIB * KIB });
    const { nextLsn } = wal;
    for (const [index, size] of sizes.entries()) {
      wal.append(new Uint8Array(Math.max(0, size)).fill(index + 1));
      if (index % 3 === 0) wal.syncSync();
    }
    wal.closeSync();
    const again = SegmentedWal.openSync({ directory, io });
    expect(again.recovery.cleanlyClosed).toBe(true);
    let index = 0;
    for (const { payload } of again.replayFrom(nextLsn, { copy: false })) {
      expect(payload.length).toBe(Math.max(0, sizes[index] as number));
      index++;
      if (payload.length > 0 && (payload[0] !== index || payload.at(-1) !== index)) throw new Error(`record ${index}`);
    }
    expect(index).toBe(sizes.length);
    again.closeSync();
  }
  expect(readFile(io, join(directory, 'LOCK')).length).toBeGreaterThan(0);
});

test('what later records prove durable is not written again', () => {
  const { files } = make({ groups: Array.from({ length: 30 }, () => [250]) });
  const [name] = segmentNames(files);
  const io = restore(files);
  let written = 0;
  const { submitWrite } = io;
  Object.defineProperty(io, 'submitWrite', {
    value: (...given: Parameters<StorageIo['submitWrite']>) => {
      if (given[0].path.endsWith(name as string)) written += given[1].length;
      return submitWrite.apply(io, given);
    },
  });
  expect(openIn(io).recovery.records).toBe(30);
  // The last record, which none proves, and the mark behind it with the rest of its block.
  expect(written).toBeLessThan(2 * 512);
});
