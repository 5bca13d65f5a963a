import {
  crc32c,
  decodeSegmentHeader,
  encodeSegmentHeader,
  FORMAT_VERSION,
  ID_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  WalError,
} from '@walstack/codec';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { fromRuns, type HeaderVector, readVectors, toHeader, toHex, viewOf } from './support.js';

const vectors = readVectors<HeaderVector>('segment-headers.json');
const PATH = 'log/wal-0000000002-00000000000000001001.seg';

const good: SegmentHeader = {
  blockBytes: 512,
  encrypted: false,
  salvaged: false,
  keyId: 0,
  encryptedFrom: 0,
  firstLsn: 7,
  number: 3,
  logId: new Uint8Array(16).fill(1),
  segmentId: new Uint8Array(16).fill(2),
  createdAtMs: 1_700_000_000_000,
  coreId: undefined,
  firstPosition: 0,
  predecessor: { number: 2, id: new Uint8Array(16).fill(3) },
};

function encoded(): Uint8Array {
  const block = new Uint8Array(512);
  encodeSegmentHeader(block, good);
  return block;
}

/** A good header with some fields changed, and its checksum made right again. */
function changed(change: (view: DataView, bytes: Uint8Array) => void): Uint8Array {
  const block = encoded();
  const view = viewOf(block);
  change(view, block);
  view.setUint32(124, crc32c(block, 0, 0, 124), true);
  return block;
}

function errorOf(bytes: Uint8Array): WalError {
  try {
    decodeSegmentHeader(bytes, PATH);
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('nothing thrown');
}

describe('segment headers', () => {
  it.each(vectors)('are encoded as the vector says: $name', (vector) => {
    const block = new Uint8Array(vector.blockSize).fill(0xee);
    encodeSegmentHeader(block, toHeader(vector));
    expect(toHex(block)).toBe(toHex(fromRuns(vector.bytes)));
  });

  it.each(vectors)('are decoded as the vector says: $name', (vector) => {
    const block = fromRuns(vector.bytes);
    expect(decodeSegmentHeader(block, PATH)).toEqual(toHeader(vector));
    expect(decodeSegmentHeader(block.subarray(0, SEGMENT_HEADER_BYTES), PATH)).toEqual(toHeader(vector));
  });

  it('are read from memory that is a part of another', () => {
    const memory = new Uint8Array(600).fill(0xee);
    encodeSegmentHeader(memory.subarray(37, 37 + 512), good);
    expect(memory[36]).toBe(0xee);
    expect(memory[37 + 512]).toBe(0xee);
    expect(decodeSegmentHeader(memory.subarray(37, 37 + 128), PATH)).toEqual(good);
  });

  it('keep copies of the ids, also when they are read from a Buffer', () => {
    const buffer = Buffer.from(encoded());
    const header = decodeSegmentHeader(buffer, PATH);
    buffer.fill(0xff);
    expect(header).toEqual(good);
    for (const id of [header.logId, header.segmentId, header.predecessor?.id]) {
      expect(id).toHaveLength(ID_BYTES);
      expect(Buffer.isBuffer(id)).toBe(false);
    }
  });

  it('leave out a predecessor whose number is 0', () => {
    const header = decodeSegmentHeader(
      changed((view) => view.setBigUint64(88, 0n, true)),
      PATH,
    );
    expect(header.predecessor).toBeUndefined();
  });
});

describe('bytes that are no segment header', () => {
  it('too few of them', () => {
    for (const length of [0, 1, 8, 127]) {
      expect(errorOf(encoded().subarray(0, length))).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'short' });
    }
  });

  it('another magic', () => {
    for (let index = 0; index < 8; index++) {
      const block = changed((_, bytes) => {
        bytes[index] = (bytes[index] as number) ^ 0x20;
      });
      expect(errorOf(block)).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'magic' });
    }
    expect(errorOf(new Uint8Array(4096))).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'magic' });
  });

  it('any other bit wrong', () => {
    for (let bit = 64; bit < SEGMENT_HEADER_BYTES * 8; bit++) {
      const block = encoded();
      block[bit >> 3] = (block[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(errorOf(block)).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'checksum' });
    }
  });

  it('an error names the file and says what to think of it', () => {
    const error = errorOf(new Uint8Array(128));
    expect(error).toMatchObject({ path: PATH, offset: 0 });
    expect(error.message).toContain(PATH);
  });

  it.each<[string, (view: DataView, bytes: Uint8Array) => void]>([
    ['version 0', (view) => view.setUint16(8, 0, true)],
    ['blocks of 256 bytes', (view) => view.setUint8(10, 8)],
    ['blocks of 131,072 bytes', (view) => view.setUint8(10, 17)],
    ['blocks of 2^255 bytes', (view) => view.setUint8(10, 255)],
    ['first LSN 0', (view) => view.setBigUint64(16, 0n, true)],
    ['first LSN 2^53', (view) => view.setBigUint64(16, 2n ** 53n, true)],
    ['first LSN 2^64 - 1', (view) => view.setBigUint64(16, 2n ** 64n - 1n, true)],
    ['segment number 0', (view) => view.setBigUint64(24, 0n, true)],
    ['segment number 2^53', (view) => view.setBigUint64(24, 2n ** 53n, true)],
    ['created beyond the safe integers', (view) => view.setBigUint64(64, 2n ** 53n, true)],
    ['first position beyond the safe integers', (view) => view.setBigUint64(80, 2n ** 63n, true)],
    ['its own predecessor', (view) => view.setBigUint64(88, 3n, true)],
    ['a later predecessor', (view) => view.setBigUint64(88, 4n, true)],
    ['a predecessor beyond the safe integers', (view) => view.setBigUint64(88, 2n ** 60n, true)],
  ])('impossible fields: %s', (_, change) => {
    expect(errorOf(changed(change))).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'impossible-fields' });
  });

  it('a later version, or flags of one, is unsupported and not damaged', () => {
    for (const version of [2, 3, 255, 256, 65_535]) {
      const block = changed((view) => view.setUint16(8, version, true));
      expect(errorOf(block)).toMatchObject({ code: 'WAL_UNSUPPORTED_VERSION', reason: 'version', path: PATH });
    }
    for (const flags of [4, 8, 128, 255]) {
      const block = changed((view) => view.setUint8(11, flags));
      expect(errorOf(block)).toMatchObject({ code: 'WAL_UNSUPPORTED_VERSION', reason: 'unknown-flags', path: PATH });
    }
    expect(FORMAT_VERSION).toBe(1);
  });
});

describe('what an encrypted segment says of the log before it', () => {
  const said = (encryptedFrom: bigint, flags: number) =>
    changed((view) => {
      view.setUint8(11, flags);
      view.setUint32(12, flags, true);
      view.setBigUint64(112, encryptedFrom, true);
    });

  it('is an LSN up to its first one', () => {
    for (const lsn of [1n, 7n]) expect(decodeSegmentHeader(said(lsn, 1), PATH).encryptedFrom).toBe(Number(lsn));
    for (const lsn of [0n, 8n, 2n ** 53n, 2n ** 64n - 1n]) {
      expect(errorOf(said(lsn, 1))).toMatchObject({ code: 'WAL_BAD_HEADER', reason: 'impossible-fields' });
    }
  });

  it('is ignored when the segment is not encrypted', () => {
    expect(decodeSegmentHeader(said(2n ** 64n - 1n, 0), PATH).encryptedFrom).toBe(0);
  });
});

describe('arguments of encodeSegmentHeader', () => {
  const encode = (changes: Record<string, unknown>, block: unknown = new Uint8Array(512)) =>
    codeOf(() => encodeSegmentHeader(block as Uint8Array, { ...good, ...changes } as SegmentHeader));

  it('are taken when they are right', () => {
    expect(encode({})).toBe('nothing thrown');
    expect(encode({ coreId: 2 ** 32 - 2, keyId: 2 ** 32 - 1, encrypted: true, encryptedFrom: 7 })).toBe(
      'nothing thrown',
    );
  });

  it('say from where on an encrypted log is encrypted, and only of such a log', () => {
    for (const encryptedFrom of [0, 8, 1.5]) {
      expect(encode({ encrypted: true, keyId: 1, encryptedFrom })).toBe('ERR_OUT_OF_RANGE');
    }
    for (const encryptedFrom of [1, 7]) expect(encode({ encryptedFrom })).toBe('ERR_OUT_OF_RANGE');
  });

  it.each(['blockBytes', 'keyId', 'firstLsn', 'number', 'createdAtMs', 'coreId', 'firstPosition'])(
    '%s is an integer',
    (name) => {
      for (const wrong of [Number.NaN, -1, 1.5, 2 ** 53, Number.POSITIVE_INFINITY]) {
        expect(encode({ [name]: wrong })).toBe('ERR_OUT_OF_RANGE');
      }
      for (const wrong of ['1', 1n, null, {}]) expect(encode({ [name]: wrong })).toBe('ERR_INVALID_ARG_TYPE');
    },
  );

  it('are within the fields that hold them', () => {
    expect(encode({ keyId: 2 ** 32 })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ coreId: 2 ** 32 - 1 })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ firstLsn: 0 })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ number: 0 })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ blockBytes: 1000 })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ predecessor: { number: 0, id: good.logId } })).toBe('ERR_OUT_OF_RANGE');
    expect(encode({ predecessor: { number: 3, id: good.logId } })).toBe('ERR_OUT_OF_RANGE');
  });

  it('ids are 16 bytes', () => {
    for (const name of ['logId', 'segmentId']) {
      expect(encode({ [name]: new Uint8Array(15) })).toBe('ERR_OUT_OF_RANGE');
      expect(encode({ [name]: new Uint8Array(17) })).toBe('ERR_OUT_OF_RANGE');
      expect(encode({ [name]: '00'.repeat(16) })).toBe('ERR_INVALID_ARG_TYPE');
      expect(encode({ [name]: undefined })).toBe('ERR_INVALID_ARG_TYPE');
    }
    expect(encode({ predecessor: { number: 2, id: new Uint8Array(8) } })).toBe('ERR_OUT_OF_RANGE');
  });

  it('the block has room for the header, and is left alone when something is wrong', () => {
    expect(encode({}, new Uint8Array(128))).toBe('nothing thrown');
    expect(encode({}, new Uint8Array(127))).toBe('ERR_OUT_OF_RANGE');
    expect(encode({}, 'text')).toBe('ERR_INVALID_ARG_TYPE');
    const block = new Uint8Array(512).fill(0xee);
    expect(encode({ firstPosition: -1 }, block)).toBe('ERR_OUT_OF_RANGE');
    expect(block.every((byte) => byte === 0xee)).toBe(true);
  });
});
