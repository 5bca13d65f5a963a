import assert from 'node:assert/strict';
import { deflateRawSync, inflateRawSync } from 'node:zlib';
import {
  Compressor,
  ENCRYPTION_TAG_BYTES,
  KeyRing,
  PayloadDecoder,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  recordFrameBytes,
  recordProblem,
  SegmentCipher,
  type SegmentHeader,
  WalError,
  writeRecordHeader,
} from '@walstack/codec';
import fc from 'fast-check';
import { bytes, edits } from './arbitraries.js';
import { type Edit, edited } from './edits.js';
import { type Target, target } from './target.js';

/** The longest payload that is decompressed here. */
const LIMIT = 5000;

const PATH = 'a segment';
const HEADER: SegmentHeader = {
  blockBytes: 512,
  encrypted: true,
  salvaged: false,
  keyId: 1,
  encryptedFrom: 1,
  firstLsn: 1,
  number: 1,
  logId: new Uint8Array(16).fill(1),
  segmentId: new Uint8Array(16).fill(2),
  createdAtMs: 0,
  coreId: undefined,
  firstPosition: 0,
  predecessor: undefined,
};
const KEYS = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(3) });

const payloads = fc.oneof(
  bytes(600),
  fc
    .tuple(bytes(12), fc.nat(900))
    .map(([part, times]) => new Uint8Array(Buffer.concat(Array.from({ length: times }, () => part)))),
);

const hex = (memory: Uint8Array): string => Buffer.from(memory).toString('hex');

const viewOf = (memory: Uint8Array): DataView => new DataView(memory.buffer, memory.byteOffset, memory.byteLength);

/** Meta and payload of a record. */
interface Content {
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
}

/** What a decoder makes of a frame of bytes; the code of its error when it refuses them. */
function decoded(frame: Uint8Array, offset: number): Content | string {
  const options = { keyRing: KEYS, allowPlaintext: true, maxPayloadBytes: LIMIT };
  return decodedBy(new PayloadDecoder(HEADER, PATH, options), frame, offset);
}

function decodedBy(decoder: PayloadDecoder, frame: Uint8Array, offset: number): Content | string {
  const record = new RecordHeader();
  readRecordHeader(viewOf(frame), 0, record);
  const body = 32 + ((record.flags & RecordFlag.scoped) === 0 ? 0 : 24);
  try {
    return decoder.decode(record, frame.subarray(8, body), frame.subarray(body), offset);
  } catch (error) {
    assert.ok(WalError.is(error), `not a WalError: ${error}`);
    assert.deepEqual([error.path, error.lsn, error.offset], [PATH, record.lsn, offset]);
    return error.code;
  }
}

/** A frame whose body is this, with flags and codec. */
function frameOf(body: Uint8Array, metaLength: number, flags: number, codec: number): Uint8Array {
  const frame = new Uint8Array(32 + body.length);
  writeRecordHeader(viewOf(frame), 0, frame.length, 7, 0, 6, metaLength, flags, codec, 0);
  frame.set(body, 32);
  return frame;
}

/** What zlib makes of a whole deflate stream; `undefined` for anything else, or where there is more than may be. */
function reference(stored: Uint8Array): Uint8Array | undefined {
  try {
    // Types do not know what is asked for with it.
    const { buffer, engine } = inflateRawSync(stored, { info: true, maxOutputLength: 50_000_000 }) as unknown as {
      readonly buffer: Uint8Array;
      readonly engine: { readonly bytesWritten: number };
    };
    return engine.bytesWritten === stored.length && buffer.length <= LIMIT ? buffer : undefined;
  } catch {
    return undefined;
  }
}

const decompression = target<{ payload: Uint8Array; changes: Edit[] }, Uint8Array>({
  name: 'decompression',
  shapes: fc.record({ payload: payloads, changes: edits(3) }),
  inputOf: ({ payload, changes }) => edited(new Uint8Array(deflateRawSync(payload)), changes),
  check: (stored) => {
    const result = decoded(frameOf(stored, 0, RecordFlag.compressed, 1), 0);
    const expected = reference(stored);
    if (typeof result !== 'string')
      assert.equal(hex(result.payload), expected === undefined ? undefined : hex(expected));
    else assert.ok(expected === undefined && ['WAL_CORRUPT', 'WAL_TOO_LARGE'].includes(result), result);
  },
});

interface Encrypted {
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  readonly good: Uint8Array;
  readonly frame: Uint8Array;
}

/** The frame of a record as a writer makes it, its checksum left open. */
function encrypted(meta: Uint8Array, payload: Uint8Array, compressor: Compressor): Uint8Array {
  const compressed = compressor.compress(payload);
  const stored = compressed ?? payload;
  const flags = RecordFlag.encrypted | (compressed === undefined ? 0 : RecordFlag.compressed);
  const body = Buffer.concat([meta, stored, new Uint8Array(ENCRYPTION_TAG_BYTES)]);
  const frame = frameOf(body, meta.length, flags, compressed === undefined ? 0 : compressor.codec);
  assert.equal(frame.length, recordFrameBytes(stored.length, meta.length, false) + ENCRYPTION_TAG_BYTES);
  SegmentCipher.forSegment(HEADER, KEYS, PATH).encrypt(frame, 0, frame.length, false, 7);
  return frame;
}

const COMPRESSOR = Compressor.of({ codec: 'deflate', thresholdBytes: 50 }) as Compressor;

const encryption = target<{ meta: Uint8Array; payload: Uint8Array; changes: Edit[] }, Encrypted>({
  name: 'encrypted record',
  shapes: fc.record({ meta: bytes(30), payload: payloads, changes: edits(2) }),
  inputOf: ({ meta, payload, changes }) => {
    const good = encrypted(meta, payload, COMPRESSOR);
    return { meta, payload, good, frame: edited(good, changes) };
  },
  check: ({ meta, payload, good, frame }) => {
    if (frame.length < 32) return;
    const record = new RecordHeader();
    // The length is the frame's, as that of a frame that was found whole.
    viewOf(frame).setUint32(0, frame.length - 8, true);
    readRecordHeader(viewOf(frame), 0, record);
    if (recordProblem(record) !== undefined || (record.flags & RecordFlag.encrypted) === 0) return;
    const result = decoded(frame, 512);
    const same = Buffer.compare(frame.subarray(8), good.subarray(8)) === 0;
    if (!same) assert.equal(result, 'WAL_BAD_KEY');
    else if (payload.length > LIMIT && (record.flags & RecordFlag.compressed) !== 0)
      assert.equal(result, 'WAL_TOO_LARGE');
    else
      assert.deepEqual(typeof result === 'string' ? result : [hex(result.meta), hex(result.payload)], [
        hex(meta),
        hex(payload),
      ]);
  },
});

/** A record in the clear, and what its segment and its reader say of that. */
interface Plain {
  readonly meta: Uint8Array;
  readonly payload: Uint8Array;
  readonly isCompressed: boolean;
  readonly isSegmentEncrypted: boolean;
  readonly hasKeys: boolean;
  readonly allowPlaintext: boolean;
  readonly predatesEncryption: boolean;
}

const plain = target<Plain, Plain>({
  name: 'record in the clear',
  shapes: fc.record({
    meta: bytes(30),
    payload: payloads,
    isCompressed: fc.boolean(),
    isSegmentEncrypted: fc.boolean(),
    hasKeys: fc.boolean(),
    allowPlaintext: fc.boolean(),
    predatesEncryption: fc.boolean(),
  }),
  inputOf: (shape) => shape,
  check: ({ meta, payload, isCompressed, isSegmentEncrypted, hasKeys, ...accepted }) => {
    const stored = isCompressed ? deflateRawSync(payload) : payload;
    const body = Buffer.concat([meta, stored]);
    const frame = frameOf(body, meta.length, isCompressed ? RecordFlag.compressed : 0, isCompressed ? 1 : 0);
    const keyRing = hasKeys ? KEYS : undefined;
    const header = { ...HEADER, encrypted: isSegmentEncrypted };
    const decoder = new PayloadDecoder(header, PATH, { ...accepted, keyRing, maxPayloadBytes: LIMIT });
    const isAccepted = !hasKeys || accepted.allowPlaintext || (accepted.predatesEncryption && !isSegmentEncrypted);
    assert.equal(decoder.transforms(isCompressed ? RecordFlag.compressed : 0), isCompressed || !isAccepted);
    const result = decodedBy(decoder, frame, 512);
    if (!isAccepted) assert.equal(result, 'WAL_BAD_KEY');
    else if (isCompressed && payload.length > LIMIT) assert.equal(result, 'WAL_TOO_LARGE');
    else {
      // In memory of its own: the file may change, and each may be given away.
      frame.fill(0xee, 32);
      assert.ok(typeof result !== 'string', `it is refused with ${result}`);
      assert.ok(
        result.meta.length === 0 || result.payload.length === 0 || result.meta.buffer !== result.payload.buffer,
      );
      assert.deepEqual([hex(result.meta), hex(result.payload)], [hex(meta), hex(payload)]);
    }
  },
});

/** What decrypts and decompresses. */
export const PAYLOAD_TARGETS: readonly Target[] = [decompression, encryption, plain];
