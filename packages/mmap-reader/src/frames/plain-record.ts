import { FRAME_HEADER_BYTES, type Lsn } from '@walstack/codec';
import type { WalRecord } from '../records/wal-record.js';
import { BODY } from './frame-fields.js';
import { noBytes } from './no-bytes.js';

/**
 * The record of a frame without flags, whose fields were verified. Meta and payload are views of the memory.
 *
 * @param view - of the memory
 * @param buffer - of the view; getting it from there costs as much as the rest
 * @param byteOffset - of the view in the buffer
 * @param at - offset of the frame in the view
 */
export function plainRecordAt(
  view: DataView,
  buffer: ArrayBufferLike,
  byteOffset: number,
  at: number,
  lsn: Lsn,
  createdAtMs: number,
): WalRecord {
  const metaLength = view.getUint16(at + 24, true);
  const payloadLength = view.getUint32(at, true) + FRAME_HEADER_BYTES - BODY - metaLength;
  const body = byteOffset + at + BODY;
  return {
    lsn,
    type: view.getUint32(at + 16, true),
    meta: metaLength === 0 ? noBytes() : new Uint8Array(buffer, body, metaLength),
    // Negative when the file of a mapping was cut meanwhile: the fields are zeros then.
    payload: payloadLength <= 0 ? noBytes() : new Uint8Array(buffer, body + metaLength, payloadLength),
    scope: undefined,
    timestampMs: createdAtMs + view.getUint32(at + 28, true),
  };
}
