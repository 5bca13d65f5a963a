import {
  FRAME_HEADER_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  type RecordHeader,
  recordProblem,
  SCOPE_BYTES,
  type SegmentHeader,
  WalError,
} from '@walstack/codec';
import { corruption } from '../chain/chain-errors.js';

/** Where in a frame its record's header begins, and where the header ends. */
export const HEADER = FRAME_HEADER_BYTES;
export const BODY = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES;

/** Flags in the word of meta length, flags and codec. */
export const MARK = RecordFlag.mark << 16;
/** The flags of frames that are no records: marks and holes. */
export const NO_RECORD = RecordFlag.mark | RecordFlag.hole;
export const ENCRYPTED = RecordFlag.encrypted << 16;

/** How many values a word of 32 bits has. */
export const WORD = 0x1_0000_0000;

/** The offset in a frame of meta and payload. */
export function bodyStart(flags: number): number {
  return (flags & RecordFlag.scoped) === 0 ? BODY : BODY + SCOPE_BYTES;
}

/** The LSN of the frame at `at`; a number above all LSNs when it is not valid. */
export function lsnAt(view: DataView, at: number): number {
  return view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * WORD;
}

/**
 * Checks the fields of a frame whose checksum is valid.
 *
 * @param offset - of the frame in the file
 * @throws `WAL_UNSUPPORTED_VERSION` for unknown fields, `WAL_CORRUPT` for inconsistent ones
 */
export function checkFields(path: string, header: SegmentHeader, record: RecordHeader, offset: number): void {
  const { lsn, flags } = record;
  const problem = recordProblem(record);
  if (problem === 'unknown-flags' || problem === 'unknown-codec') {
    throw new WalError(
      'WAL_UNSUPPORTED_VERSION',
      `${path}: the record with LSN ${lsn} was written by a later version (${problem}): ` +
        'use a later walstack; nothing was changed',
      { offset, lsn, path, reason: problem },
    );
  }
  const isStray = (flags & RecordFlag.encrypted) !== 0 && !header.encrypted;
  const isLast = lsn === Number.MAX_SAFE_INTEGER && (flags & NO_RECORD) === 0;
  if (problem === undefined && !isStray && !isLast) return;
  const what = `the record with LSN ${lsn} at offset ${offset} has fields that cannot be`;
  throw corruption(path, 'impossible-fields', what, { offset, lsn });
}
