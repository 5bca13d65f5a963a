import { crc32c, encodeSegmentHeader, segmentSeed, WalError, writeRecordHeader } from '@walstack/codec';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changed, restore, segmentNames } from './support/files.js';
import { make, openIn, texts } from './support/logs.js';

const ID = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const NAME = 'wal-0000000001-00000000000000000001.seg';

/** A segment with a right header and these bytes behind it. */
function segmentOf(body: Uint8Array): Map<string, Uint8Array> {
  const bytes = new Uint8Array(512 + body.length);
  encodeSegmentHeader(bytes.subarray(0, 512), {
    blockBytes: 512,
    encrypted: false,
    salvaged: false,
    keyId: 0,
    encryptedFrom: 0,
    firstLsn: 1,
    number: 1,
    logId: ID,
    segmentId: ID,
    createdAtMs: 0,
    coreId: undefined,
    firstPosition: 0,
    predecessor: undefined,
  });
  bytes.set(body, 512);
  return new Map([[NAME, bytes]]);
}

/** One frame with these fields and a right checksum. */
function frame(
  lsn: number,
  options: { length?: number; flags?: number; codec?: number; meta?: number; durable?: number },
) {
  const { length = 40, flags = 0, codec = 0, meta = 0, durable = lsn - 1 } = options;
  const bytes = new Uint8Array(8 + length);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(view, 0, bytes.length, lsn, 0, durable, meta, flags, codec, 0);
  view.setUint32(4, crc32c(bytes, segmentSeed(ID), 8), true);
  return bytes;
}

test.each([
  ['meta longer than the rest', frame(1, { meta: 17 })],
  ['a mark that is longer than one', frame(1, { flags: 16 })],
  ['a mark with another flag', frame(1, { flags: 17, length: 24 })],
  ['a scope that does not fit', frame(1, { flags: 8, length: 40 })],
  ['an encrypted record in a plaintext segment', frame(1, { flags: 4, length: 60 })],
  ['a compressed record without a codec', frame(1, { flags: 2 })],
  ['a codec without compression', frame(1, { codec: 1 })],
])('%s behind a right checksum is WAL_CORRUPT, never a torn tail', (_name, bytes) => {
  expect(() => openIn(restore(segmentOf(bytes)))).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'impossible-fields', lsn: 1, offset: 512 }),
  );
});

test.each([
  ['flag', frame(1, { flags: 64 })],
  ['codec', frame(1, { codec: 3, flags: 2 })],
])('an unknown %s is WAL_UNSUPPORTED_VERSION', (_name, bytes) => {
  expect(() => openIn(restore(segmentOf(bytes)))).toThrow(
    expect.objectContaining({ code: 'WAL_UNSUPPORTED_VERSION', lsn: 1 }),
  );
});

test('a batch whose last record is missing is discarded whole, and its first LSN is given out again', () => {
  const records = [frame(1, {}), frame(2, { flags: 1, durable: 1 }), frame(3, { flags: 1, durable: 1 })];
  const body = Buffer.concat(records);
  const io = restore(segmentOf(body));
  const wal = openIn(io);
  expect(wal.nextLsn).toBe(2);
  expect(wal.recovery).toMatchObject({ records: 1, lastLsn: 1, cleanlyClosed: false });
  expect(wal.recovery.cutBytes).toBeGreaterThan(0);
  expect(wal.append('again')).toBe(2);
  wal.closeSync();
  expect(texts(openIn(io).replayFrom(2))).toEqual(['again']);
});

test('a whole batch is kept', () => {
  const body = Buffer.concat([frame(1, { flags: 1 }), frame(2, { flags: 1, durable: 0 }), frame(3, { durable: 0 })]);
  expect(openIn(restore(segmentOf(body))).nextLsn).toBe(4);
});

/** A record, and a torn one behind it that is full of headers of frames as long as this, which would prove it durable. */
function tornBehindOne(bytes: number, length: number): Uint8Array {
  const body = new Uint8Array(bytes);
  const view = new DataView(body.buffer);
  body.set(frame(1, {}), 0);
  body[48] = 1;
  for (let at = 56; at + 64 <= bytes; at += 32) {
    writeRecordHeader(view, at, Math.min(8 + length, bytes - at), 3, 0, 2, 0, 0, 0, 0);
    view.setUint32(at + 4, at, true);
  }
  return body;
}

test.each([
  ['some kibibytes', 4000],
  ['as long as there are bytes', 500_000],
])('a torn payload of made-up headers of frames, %s long, keeps no log from opening', (_name, length) => {
  const body = tornBehindOne(600_000, length);
  const files = segmentOf(body);
  const io = restore(files);
  const wal = openIn(io);
  expect(wal.recovery).toMatchObject({ records: 1, lastLsn: 1, cutBytes: body.length - 48 });
  expect(wal.recovery.salvage).toBeUndefined();
  expect(io.stats().bytesRead).toBeLessThan(10 * body.length);
  expect(openIn(restore(files), { recoveryMode: 'readonly' }).nextLsn).toBe(2);
  expect(openIn(restore(files), { recoveryMode: 'salvage', salvageLsn: 1 }).nextLsn).toBe(2);
});

test('behind more made-up frames than are kept in mind at a time, one that is right is found', () => {
  const proof = frame(3, { durable: 2, length: 24 });
  for (const length of [24, 4000, 1_900_000]) {
    const body = tornBehindOne(2_000_000, length);
    const offset = body.length - 32;
    body.set(proof, offset);
    const io = restore(segmentOf(body));
    const message = expect.stringContaining(`offset ${512 + offset} proves`) as string;
    expect(() => openIn(io)).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'hole', lsn: 2, message }));
    expect(io.stats().bytesRead).toBeLessThan(10 * body.length);
  }
});

test('a frame that proves something is found at every place, however the steps of the search cut it', () => {
  const proof = frame(3, { durable: 2, length: 300_000 });
  for (const offset of [49, 262_143, 262_144, 262_145, 262_150, 262_180, 300_000, 524_288]) {
    const body = new Uint8Array(900_000);
    body.set(frame(1, {}), 0);
    body[48] = 1;
    body.set(proof, offset);
    expect(() => openIn(restore(segmentOf(body)))).toThrow(expect.objectContaining({ reason: 'hole', lsn: 2 }));
    body.set([(body[offset + 300_007] as number) ^ 1], offset + 300_007);
    expect(openIn(restore(segmentOf(body))).nextLsn).toBe(2);
  }
});

test('a frame that claims to be gigabytes long takes no memory', () => {
  const body = new Uint8Array(4096);
  new DataView(body.buffer).setUint32(0, 0xffff_fff0, true);
  const wal = openIn(restore(segmentOf(body)));
  expect(wal.nextLsn).toBe(1);
});

test('a payload that quotes frames of its own segment proves nothing false', () => {
  const quoted = frame(1, { length: 60 });
  const holder = new Uint8Array(8 + 24 + quoted.length);
  const view = new DataView(holder.buffer);
  writeRecordHeader(view, 0, holder.length, 2, 0, 1, 0, 0, 0, 0);
  holder.set(quoted, 32);
  view.setUint32(4, crc32c(holder, segmentSeed(ID), 8), true);
  const torn = Buffer.concat([quoted, holder.subarray(0, 40), holder.subarray(32)]);
  const wal = openIn(restore(segmentOf(torn)));
  expect(wal.nextLsn).toBe(2);
});

test('no bytes at all make it crash or hang: they are a log, or a WalError', () => {
  const made = make({ groups: [[40, 3], [450], [0, 200]], config: { segmentBytes: 1024 } });
  const names = segmentNames(made.files);
  const change = fc.record({
    file: fc.integer({ min: 0, max: names.length - 1 }),
    offset: fc.nat(3000),
    bytes: fc.uint8Array({ minLength: 1, maxLength: 64 }),
    cutTo: fc.option(fc.nat(3000)),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      let files: ReadonlyMap<string, Uint8Array> = made.files;
      for (const { file, offset, bytes, cutTo } of changes) {
        files = changed(files, names[file] as string, (old) => {
          const cut = cutTo === null ? old : old.slice(0, cutTo);
          cut.set(bytes.subarray(0, Math.max(0, cut.length - offset)), Math.min(offset, cut.length));
          return cut;
        });
      }
      try {
        const wal = openIn(restore(files));
        const found = texts(wal.replay());
        expect(found).toEqual(made.payloads.slice(wal.firstLsn, wal.firstLsn + found.length));
      } catch (error) {
        if (!WalError.is(error)) throw error;
        expect(['WAL_CORRUPT', 'WAL_UNSUPPORTED_VERSION', 'WAL_BAD_KEY']).toContain(error.code);
      }
    }),
    { numRuns: 3000 },
  );
});

test('a frame that ends with the file is verified, wherever in the file the search begins its last step', () => {
  const step = 256 * 1024;
  const proof = frame(2, {});
  for (let rest = 0; rest <= 40; rest++) {
    const body = new Uint8Array(2 * step + rest);
    body.set(proof, body.length - proof.length);
    expect(() => openIn(restore(segmentOf(body)))).toThrow(
      expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'hole', lsn: 1, offset: 512 }),
    );
  }
});
