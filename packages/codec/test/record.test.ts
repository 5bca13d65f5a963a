import {
  crc32c,
  decodeFrame,
  isMark,
  LAG_UNKNOWN,
  MARK_FRAME_BYTES,
  MarkType,
  META_BYTES_MAX,
  provenDurable,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  readScope,
  recordFrameBytes,
  recordProblem,
  sealFrames,
  segmentSeed,
  writeMark,
  writeRecordHeader,
} from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import {
  fromHex,
  fromRuns,
  putMark,
  putRecord,
  type RecordVector,
  readVectors,
  toHex,
  toScope,
  viewOf,
} from './support.js';

interface SingleRecordVector extends RecordVector {
  readonly name: string;
  readonly durableLsn: number;
  readonly elapsedMs: number;
  readonly segmentId: string;
  readonly frame: (string | number)[];
}

interface MarkVector {
  readonly name: string;
  readonly lsn: number;
  readonly type: number;
  readonly timeMs: number;
  readonly segmentId: string;
  readonly frame: string;
}

const records = readVectors<SingleRecordVector>('records.json');
const marks = readVectors<MarkVector>('marks.json');

/** The frame at offset 11 of a larger memory that holds other bytes, sealed as a file of one block. */
function sealedAt11(frameBytes: number, put: (target: Uint8Array) => number, segmentId: string): Uint8Array {
  const memory = new Uint8Array(frameBytes + 31).fill(0xee);
  expect(put(memory)).toBe(11 + frameBytes);
  expect(sealFrames(memory, 11, 11 + frameBytes, 0, 65_536, segmentSeed(fromHex(segmentId)))).toBe(1);
  expect(memory.subarray(0, 11).every((byte) => byte === 0xee)).toBe(true);
  expect(memory.subarray(11 + frameBytes).every((byte) => byte === 0xee)).toBe(true);
  return memory.subarray(11, 11 + frameBytes);
}

describe('records', () => {
  it.each(records)('are encoded as the vector says: $name', (vector) => {
    const expected = fromRuns(vector.frame);
    const meta = fromRuns(vector.meta);
    const payload = fromRuns(vector.payload);
    const scope = vector.scope === null ? undefined : toScope(vector.scope);
    expect(recordFrameBytes(payload.length, meta.length, scope !== undefined)).toBe(expected.length);
    const frame = sealedAt11(
      expected.length,
      (target) => putRecord(target, 11, { ...vector, scope, meta, payload }),
      vector.segmentId,
    );
    expect(toHex(frame)).toBe(toHex(expected));
  });

  it.each(records)('are decoded as the vector says: $name', (vector) => {
    const bytes = fromRuns(vector.frame);
    expect(decodeFrame(bytes, 0, segmentSeed(fromHex(vector.segmentId)))).toBeDefined();
    const header = new RecordHeader();
    readRecordHeader(viewOf(bytes), 0, header);
    expect({ ...header }).toEqual({
      length: bytes.length - 8,
      lsn: vector.lsn,
      type: vector.type,
      durableLag: vector.lag,
      metaLength: fromRuns(vector.meta).length,
      flags: vector.flags,
      codec: 0,
      elapsedMs: vector.timeMs,
    });
    expect(recordProblem(header)).toBeUndefined();
    expect(isMark(header)).toBe(false);
    let at = MARK_FRAME_BYTES;
    expect((header.flags & RecordFlag.scoped) !== 0).toBe(vector.scope !== null);
    if (vector.scope !== null) {
      expect(readScope(viewOf(bytes), at)).toEqual(toScope(vector.scope));
      at += 24;
    }
    expect(bytes.subarray(at, at + header.metaLength)).toEqual(fromRuns(vector.meta));
    expect(bytes.subarray(at + header.metaLength)).toEqual(fromRuns(vector.payload));
  });

  it('leave the checksum word open', () => {
    const target = new Uint8Array(40).fill(0xff);
    writeRecordHeader(viewOf(target), 0, 40, 1, 0, 0, 0, 0, 0, 0);
    expect(toHex(target.subarray(4, 8))).toBe('00000000');
    expect(toHex(target.subarray(32))).toBe('ff'.repeat(8));
  });

  it('cost 32 bytes, 24 more with a scope', () => {
    expect(recordFrameBytes(0, 0, false)).toBe(32);
    expect(recordFrameBytes(100, 0, false)).toBe(132);
    expect(recordFrameBytes(100, META_BYTES_MAX, true)).toBe(32 + 24 + 65_535 + 100);
  });

  it('count a clock that went back as no time', () => {
    const view = new DataView(new ArrayBuffer(32));
    writeRecordHeader(view, 0, 32, 1, 0, 0, 0, 0, 0, -5000);
    expect(view.getUint32(28, true)).toBe(0);
  });

  it('are never encoded as durable before they are written', () => {
    const view = new DataView(new ArrayBuffer(32));
    for (const durableLsn of [10, 11, 2 ** 40, Number.NaN]) {
      expect(codeOf(() => writeRecordHeader(view, 0, 32, 10, 0, durableLsn, 0, 0, 0, 0))).toBe('ERR_OUT_OF_RANGE');
    }
  });

  it('have an LSN beyond the safe integers only when they are forged: it compares as beyond every bound', () => {
    const bytes = new Uint8Array(32);
    const header = new RecordHeader();
    for (const high of [0x0020_0000, 0x8000_0000, 0xffff_ffff]) {
      viewOf(bytes).setUint32(12, high, true);
      readRecordHeader(viewOf(bytes), 0, header);
      expect(header.lsn).toBe(Number.POSITIVE_INFINITY);
    }
    viewOf(bytes).setUint32(8, 0xffff_ffff, true);
    viewOf(bytes).setUint32(12, 0x001f_ffff, true);
    readRecordHeader(viewOf(bytes), 0, header);
    expect(header.lsn).toBe(Number.MAX_SAFE_INTEGER);
  });
});

describe('marks', () => {
  it.each(marks)('are encoded as the vector says: $name', ({ lsn, type, timeMs, segmentId, frame }) => {
    const encoded = sealedAt11(
      MARK_FRAME_BYTES,
      (target) => {
        putMark(target, 11, lsn, type, timeMs);
        return 11 + MARK_FRAME_BYTES;
      },
      segmentId,
    );
    expect(toHex(encoded)).toBe(frame);
  });

  it.each(marks)('are decoded as the vector says: $name', ({ lsn, type, timeMs, segmentId, frame }) => {
    const bytes = fromHex(frame);
    expect(decodeFrame(bytes, 0, segmentSeed(fromHex(segmentId)))).toBeDefined();
    const header = new RecordHeader();
    readRecordHeader(viewOf(bytes), 0, header);
    expect(isMark(header)).toBe(true);
    expect(recordProblem(header)).toBeUndefined();
    expect(header.lsn).toBe(lsn);
    expect(header.type).toBe(type);
    expect(header.elapsedMs).toBe(timeMs);
    expect(provenDurable(header.lsn, header.durableLag)).toBe(lsn - 1);
  });

  it('have the types of the format', () => {
    expect(MarkType).toEqual({ idle: 0, closed: 1, recovered: 2, opened: 3 });
  });

  it('leave the checksum word open and touch 32 bytes', () => {
    const target = new Uint8Array(48).fill(0xff);
    writeMark(viewOf(target), 8, 7, MarkType.idle, 3);
    expect(toHex(target.subarray(0, 8))).toBe('ff'.repeat(8));
    expect(toHex(target.subarray(12, 16))).toBe('00000000');
    expect(toHex(target.subarray(40))).toBe('ff'.repeat(8));
  });
});

describe('what a frame proves durable', () => {
  it('is its LSN less its lag', () => {
    expect(provenDurable(10, 1)).toBe(9);
    expect(provenDurable(10, 10)).toBe(0);
    expect(provenDurable(2 ** 40, 2 ** 32 - 2)).toBe(2 ** 40 - 2 ** 32 + 2);
  });

  it('is nothing when the lag is saturated', () => {
    expect(LAG_UNKNOWN).toBe(2 ** 32 - 1);
    expect(provenDurable(2 ** 40, LAG_UNKNOWN)).toBe(0);
  });
});

describe('fields that cannot stand together', () => {
  const header = (changes: Partial<RecordHeader>): RecordHeader =>
    Object.assign(new RecordHeader(), { length: 100, lsn: 5, type: 1, durableLag: 1 }, changes);
  const mark = (changes: Partial<RecordHeader>): RecordHeader =>
    header({ length: 24, flags: RecordFlag.mark, ...changes });

  it.each([
    ['a plain record', header({})],
    ['an empty record', header({ length: 24 })],
    ['meta up to the end', header({ metaLength: 76 })],
    ['a scope up to the end', header({ length: 48, flags: RecordFlag.scoped })],
    ['a scope, meta up to the end', header({ flags: RecordFlag.scoped, metaLength: 52 })],
    ['a batch that continues', header({ flags: RecordFlag.batchContinues })],
    ['deflate-raw', header({ flags: RecordFlag.compressed, codec: 1 })],
    ['zstd', header({ flags: RecordFlag.compressed, codec: 2 })],
    ['encrypted, nothing but the tag', header({ length: 40, flags: RecordFlag.encrypted })],
    ['every flag of a record', header({ length: 24 + 24 + 16 + 3, flags: 15, codec: 2, metaLength: 3 })],
    ['a saturated lag', header({ durableLag: LAG_UNKNOWN })],
    ['a lag of more than the LSN', header({ durableLag: 900 })],
    ['a mark', mark({})],
    ['a mark of an unknown type', mark({ type: 77 })],
  ])('are none of: %s', (_, fields) => {
    expect(recordProblem(fields)).toBeUndefined();
  });

  it.each([
    ['shorter than a record header', header({ length: 23 })],
    ['meta longer than the rest', header({ metaLength: 77 })],
    ['meta of an empty record', header({ length: 24, metaLength: 1 })],
    ['a scope that does not fit', header({ length: 47, flags: RecordFlag.scoped })],
    ['meta longer than the rest behind the scope', header({ flags: RecordFlag.scoped, metaLength: 53 })],
    ['no room for the tag', header({ length: 39, flags: RecordFlag.encrypted })],
    ['meta reaches into the tag', header({ flags: RecordFlag.encrypted, metaLength: 61 })],
    ['a scope and a tag that do not fit', header({ length: 63, flags: RecordFlag.encrypted | RecordFlag.scoped })],
    ['compressed without a codec', header({ flags: RecordFlag.compressed })],
    ['a codec without being compressed', header({ codec: 1 })],
    ['lag 0', header({ durableLag: 0 })],
    ['a mark with data', mark({ length: 25 })],
    ['a mark with meta', mark({ metaLength: 1 })],
    ['a mark with a codec', mark({ codec: 1 })],
    ['a mark that is in a batch', mark({ flags: 17 })],
    ['a mark that is compressed', mark({ flags: 18, codec: 1 })],
    ['a mark that is encrypted', mark({ flags: 20, length: 40 })],
    ['a mark with a scope', mark({ flags: 24, length: 48 })],
    ['a mark with lag 2', mark({ durableLag: 2 })],
    ['a mark with a saturated lag', mark({ durableLag: LAG_UNKNOWN })],
    ['a mark with lag 0', mark({ durableLag: 0 })],
    ['a hole with another flag', header({ flags: 33, durableLag: 1 })],
    ['a hole that is a mark', header({ flags: 48, durableLag: 1 })],
    ['a hole with meta', header({ flags: 32, durableLag: 1, length: 40, metaLength: 3 })],
    ['a hole with another lag than 1', header({ flags: 32, durableLag: 2 })],
    ['a hole beyond the last LSN', header({ flags: 32, durableLag: 1, lsn: Number.MAX_SAFE_INTEGER, type: 1 })],
  ])('are: %s', (_, fields) => {
    expect(recordProblem(fields)).toBe('impossible-fields');
  });

  it('unknown flags and codecs come from a later version, whatever else is wrong', () => {
    for (const flags of [64, 128, 65, 80, 255]) {
      expect(recordProblem(header({ flags }))).toBe('unknown-flags');
      expect(recordProblem(header({ flags, length: 24, metaLength: 9, codec: 9 }))).toBe('unknown-flags');
    }
    for (const codec of [3, 4, 255]) {
      expect(recordProblem(header({ flags: RecordFlag.compressed, codec }))).toBe('unknown-codec');
      expect(recordProblem(header({ codec, metaLength: 999 }))).toBe('unknown-codec');
    }
  });

  it('crc32c of the vectors is right as a check of the files themselves', () => {
    for (const { frame, segmentId } of marks) {
      const bytes = fromHex(frame);
      expect(crc32c(bytes.subarray(8), crc32c(fromHex(segmentId)))).toBe(viewOf(bytes).getUint32(4, true));
    }
  });
});
