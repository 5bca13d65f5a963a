import { crc32c, encodeSegmentHeader, writeMark, writeRecordHeader } from '@walstack/codec';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { changed, restore, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, recordsOf, texts } from './support/logs.js';

/** With `WALSTACK_LONG` set, every size and every byte; else some of them. */
const isLong = process.env['WALSTACK_LONG'] !== undefined;
const SIZES = isLong ? [0, 1, 7, 8, 31, 32, 33, 64, 100, 511, 512, 513, 1500, 5000, 20_000] : [0, 1, 33, 64, 513, 1500];
const strideOf = (bytes: number): number => (isLong ? 1 + Math.floor(bytes / 2000) : 1 + Math.floor(bytes / 29));

/** For one test, in milliseconds: nothing that passes takes that long. */
const TIMEOUT_MS = isLong ? 3_600_000 : 60_000;

/** Records that were acknowledged before the payload is appended. */
const ACKNOWLEDGED = 5;

/** What a log may read for each byte of its file, and anyway. */
const READS_PER_BYTE = 12;
const READS_ANYWAY = 16 * 1024;

/** Repeats something until the bytes are full, each time `step` further on. */
function filled(bytes: number, step: number, what: (left: number, index: number) => Uint8Array): Uint8Array {
  const payload = new Uint8Array(bytes);
  for (let at = 0, index = 0; at < bytes; at += step, index++) {
    payload.set(what(bytes - at, index).subarray(0, bytes - at), at);
  }
  return payload;
}

/** A header of a frame that would prove a lost record durable, were its checksum right. */
function claim(length: number, lsn: number, lag: number, crc: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(view, 0, 8 + Math.max(24, length), lsn, 0, lsn - lag, 0, 0, 0, 0);
  view.setUint32(4, crc, true);
  return bytes;
}

/** A whole frame whose checksum is right under another seed. */
function foreign(length: number, lsn: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(8 + length);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(view, 0, bytes.length, lsn, 0, lsn - 1, 0, 0, 0, 0);
  view.setUint32(4, crc32c(bytes, seed, 8), true);
  return bytes;
}

function mark(lsn: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  writeMark(view, 0, lsn, 0, 0);
  view.setUint32(4, crc32c(bytes, seed, 8), true);
  return bytes;
}

function segmentHeader(): Uint8Array {
  const bytes = new Uint8Array(512);
  encodeSegmentHeader(bytes, {
    blockBytes: 512,
    encrypted: false,
    salvaged: false,
    keyId: 0,
    firstLsn: ACKNOWLEDGED + 1,
    number: 2,
    logId: new Uint8Array(16).fill(1),
    segmentId: new Uint8Array(16).fill(2),
    createdAtMs: 0,
    coreId: undefined,
    encryptedFrom: 0,
    firstPosition: 0,
    predecessor: undefined,
  });
  return bytes;
}

/** Payloads of any size; `own` is what stands in the segment before them. */
const PAYLOADS: Readonly<Record<string, (bytes: number, own: Uint8Array) => Uint8Array>> = {
  'headers of frames that reach to the end': (bytes) =>
    filled(bytes, 32, (left, index) => claim(left - 8, ACKNOWLEDGED + 2, 1, index)),
  'headers of frames, one inside the other': (bytes) =>
    filled(bytes, 27, (left, index) => claim(Math.min(400, left - 8), ACKNOWLEDGED + 2 + (index % 3), 1, index * 77)),
  'headers of short frames': (bytes) => filled(bytes, 32, (_, index) => claim(24, ACKNOWLEDGED + 2, 1, index)),
  'whole frames under other seeds': (bytes) =>
    filled(bytes, 48, (_, index) => foreign(40, ACKNOWLEDGED + 2, index % 2 === 0 ? 0 : 0x1234_5678)),
  'marks under other seeds': (bytes) => filled(bytes, 32, (_, index) => mark(ACKNOWLEDGED + 2, index)),
  'headers of segments': (bytes) => filled(bytes, 512, () => segmentHeader()),
  'what stands in the segment before': (bytes, own) => filled(bytes, Math.max(1, own.length), () => own),
  'the beginning of the file': (bytes) => filled(bytes, 8, () => new TextEncoder().encode('WALSTACK')),
};

/** What a crash leaves of a range that was written: a part of it, and zeros. */
const TEARS: Readonly<Record<string, (bytes: Uint8Array, start: number, at: number, end: number) => void>> = {
  'cut off': (bytes, _start, at) => {
    bytes.fill(0, at);
  },
  'without its beginning': (bytes, start, at) => {
    bytes.fill(0, start, at);
  },
  'with a hole': (bytes, _start, at, end) => {
    bytes.fill(0, at, Math.min(end, at + 64));
  },
};

test.each(Object.keys(PAYLOADS))(
  '%s in a payload, torn at any byte: the log opens with what was acknowledged',
  (kind) => {
    const make = PAYLOADS[kind] as (bytes: number, own: Uint8Array) => Uint8Array;
    for (const size of SIZES) {
      const io = createMemoryStorageIo();
      const log = openIn(io);
      const texted = Array.from({ length: ACKNOWLEDGED }, (_, index) => `record ${index}`);
      for (const text of texted) log.append(text);
      log.syncSync();
      const [name] = segmentNames(snapshot(io, DIRECTORY)) as [string];
      const own = (snapshot(io, DIRECTORY).get(name) as Uint8Array).slice(512);
      const before = recordsOf(snapshot(io, DIRECTORY).get(name) as Uint8Array).filter((each) => !each.mark);
      const payload = make(size, own.subarray(0, (before.at(-1)?.end as number) - 512));
      log.append(payload);
      log.append('behind it');
      log.flushSync();
      const files = snapshot(io, DIRECTORY);
      const found = recordsOf(files.get(name) as Uint8Array).filter(({ lsn }) => lsn === ACKNOWLEDGED + 1);
      const { start, end } = found[0] as { start: number; end: number };

      for (const [how, tear] of Object.entries(TEARS)) {
        for (let at = start; at < end; at += strideOf(end - start)) {
          const torn = changed(files, name, (bytes) => {
            tear(bytes, start, at, end);
            return bytes;
          });
          const where = `${size} bytes, ${how} at ${at - start}`;
          const memory = restore(torn);
          const wal = openIn(memory);
          expect(memory.stats().bytesRead, where).toBeLessThanOrEqual(
            READS_PER_BYTE * (torn.get(name) as Uint8Array).length + READS_ANYWAY,
          );
          // All of what was not torn may be there, and nothing that was not appended.
          const replayed = texts(wal.replay());
          const appended = [...texted, Buffer.from(payload).toString(), 'behind it'];
          expect(replayed.length, where).toBeGreaterThanOrEqual(ACKNOWLEDGED);
          expect(replayed, where).toEqual(appended.slice(0, replayed.length));
          expect(openIn(restore(torn), { recoveryMode: 'readonly' }).nextLsn, where).toBe(wal.nextLsn);
        }
      }
    }
  },
  TIMEOUT_MS,
);

test('a payload of half a mebibyte costs what its bytes do, wherever it is torn', () => {
  const sizes = [128 * 1024, 256 * 1024, 512 * 1024];
  for (const make of Object.values(PAYLOADS).slice(0, 3)) {
    const reads = sizes.map((size) => {
      const io = createMemoryStorageIo();
      const log = openIn(io);
      log.append('first');
      log.append('second');
      for (let lsn = 3; lsn <= ACKNOWLEDGED; lsn++) log.append('more');
      log.syncSync();
      log.append(make(size, new Uint8Array(0)));
      log.flushSync();
      const files = snapshot(io, DIRECTORY);
      const [name] = segmentNames(files) as [string];
      const bytes = files.get(name) as Uint8Array;
      const { start } = recordsOf(bytes).at(-1) as { start: number };
      const memory = restore(
        changed(files, name, (copy) => {
          copy.fill(0, start, start + 40);
          return copy;
        }),
      );
      expect(openIn(memory).lastLsn).toBe(ACKNOWLEDGED);
      return memory.stats().bytesRead / bytes.length;
    });
    for (const each of reads) expect(each).toBeLessThan(READS_PER_BYTE);
  }
});
