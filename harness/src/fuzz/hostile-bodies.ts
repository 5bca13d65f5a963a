import {
  crc32c,
  encodeSegmentHeader,
  RecordFlag,
  segmentSeed,
  WalError,
  writeMark,
  writeRecordHeader,
} from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import { Random } from '../random.js';
import { backendWith } from './logs/files.js';
import { configOf } from './logs/known-logs.js';

const ID = Uint8Array.from({ length: 16 }, (_, index) => index + 1);
const NAME = 'wal-0000000001-00000000000000000001.seg';

/** One segment with a right header and these bytes behind it. */
function segmentOf(body: Uint8Array): Uint8Array {
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
  return bytes;
}

/** A frame with a right checksum. */
function frame(lsn: number, length: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(8 + length);
  const view = new DataView(bytes.buffer);
  writeRecordHeader(view, 0, bytes.length, lsn, 0, lsn - 1, 0, flags, 0, 0);
  view.setUint32(4, crc32c(bytes, segmentSeed(ID), 8), true);
  return bytes;
}

/** The header of a frame that would prove LSN 2 durable, were its checksum right. */
function claim(length: number): Uint8Array {
  const bytes = new Uint8Array(32);
  writeRecordHeader(new DataView(bytes.buffer), 0, 8 + length, 3, 0, 2, 0, 0, 0, 0);
  return bytes;
}

function mark(lsn: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  writeMark(view, 0, lsn, 0, 0);
  view.setUint32(4, crc32c(bytes, segmentSeed(ID), 8), true);
  return bytes;
}

/** A record, a hole, and behind it as many of these as there is room for, each so many bytes behind the one before. */
function behindHole(bytes: number, step: number, what: (left: number) => Uint8Array): Uint8Array {
  const body = new Uint8Array(bytes);
  body.set(frame(1, 40));
  body[48] = 1;
  for (let at = 56; at + 64 <= bytes; at += step) body.set(what(bytes - at), at);
  return body;
}

/** Bodies of segments of any size, each made to cost as much as it can. */
export const HOSTILE_BODIES: Readonly<Record<string, (bytes: number) => Uint8Array>> = {
  'headers of frames as long as the rest of the file': (bytes) => behindHole(bytes, 32, (left) => claim(left - 8)),
  'headers of frames of half the file': (bytes) =>
    behindHole(bytes, 32, (left) => claim(Math.min(bytes / 2, left - 8))),
  'headers of short frames': (bytes) => behindHole(bytes, 32, () => claim(24)),
  'headers of frames of some blocks, one inside the other': (bytes) =>
    behindHole(bytes, 27, (left) => claim(Math.min(5000, left - 8))),
  'marks whose checksum is of another LSN': (bytes) =>
    behindHole(bytes, 32, () => {
      const bad = mark(2);
      bad[28] = 1;
      return bad;
    }),
  'frames that are right and prove nothing': (bytes) => behindHole(bytes, 48, () => frame(1, 40)),
  'a record and as many marks as there is room for': (bytes) => {
    const body = new Uint8Array(bytes);
    body.set(frame(1, 24));
    for (let at = 32; at + 32 <= bytes; at += 32) body.set(mark(2), at);
    return body;
  },
  'a batch that does not end': (bytes) => {
    const body = new Uint8Array(bytes);
    for (let at = 0, lsn = 1; at + 64 <= bytes; at += 64, lsn++)
      body.set(frame(lsn, 56, RecordFlag.batchContinues), at);
    return body;
  },
  'one frame that fills the file, of which the last byte is wrong': (bytes) => {
    const body = frame(1, bytes - 8);
    body[bytes - 1] = 1;
    return body;
  },
  'a byte in each block': (bytes) => {
    const body = new Uint8Array(bytes);
    for (let at = 511; at < bytes; at += 512) body[at] = 1;
    return body;
  },
};

/** Opens a log that is one segment with this body; it may be refused as corrupt. */
export function openHostile(body: Uint8Array): () => void {
  const io = backendWith({ [NAME]: segmentOf(body) });
  const config = { ...configOf(new Random(1)), io, blockBytes: 512 };
  return () => {
    try {
      SegmentedWal.openSync(config).closeSync();
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    }
  };
}
