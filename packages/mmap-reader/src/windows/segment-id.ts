import { readSync } from 'node:fs';
import { decodeSegmentHeader, SEGMENT_HEADER_BYTES, type SegmentHeader, WalError } from '@walstack/codec';
import { sameId } from '../chain/segment.js';

/** Reads the header of an open segment. @throws `WAL_BAD_HEADER`, `WAL_UNSUPPORTED_VERSION` */
export function headerOfOpen(fd: number, path: string): SegmentHeader {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const length = readSync(fd, bytes, 0, bytes.length, 0);
  return decodeSegmentHeader(bytes.subarray(0, length), path);
}

/** Whether an open file is a segment with this id. */
export function hasSegmentId(fd: number, path: string, segmentId: Uint8Array): boolean {
  try {
    return sameId(headerOfOpen(fd, path).segmentId, segmentId);
  } catch (error) {
    if (WalError.is(error, 'WAL_BAD_HEADER')) return false;
    throw error;
  }
}
