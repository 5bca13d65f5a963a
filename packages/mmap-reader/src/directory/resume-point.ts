import { createHash } from 'node:crypto';
import type { Lsn } from '@walstack/codec';
import { checkInteger, checkLsn, checkOptions, invalidType, optionNames, outOfRange } from '@walstack/codec/internal';
import type { Link } from '../chain/chain.js';

/**
 * Where the reading of a log continues, and which segment is before that: a plain value that can be stored as JSON. An
 * LSN can be assigned again after the log was cut off, but never in the same segment. So reading from a resume point
 * can detect that anything before `lsn` was cut off since.
 */
export interface ResumePoint {
  /** The LSN of the next record. */
  readonly lsn: Lsn;
  /** Number of the segment that contains the record before it; 0 when the log begins with `lsn`. */
  readonly segment: number;
  /** A fingerprint of that segment's id, 32 hexadecimal digits; zeros when there is none. It does not reveal the id. */
  readonly id: string;
  /**
   * Which opening of the log has written the record before it, 16 hexadecimal digits; `'end'` when the segment ended with that
   * record. It distinguishes a log from a restored copy that goes on in the same segment. Absent when there is no record
   * before it, or it is not known.
   */
  readonly session?: string;
}

const RESUME_POINT = optionNames<ResumePoint>({ lsn: true, segment: true, id: true, session: true });

/** The session of a {@link LastRead} with which its segment ended. */
export const SEGMENT_END = 'end';

const NO_ID = '0'.repeat(32);

/** The last record that was read, and the segment that contains it. */
export interface LastRead {
  readonly lsn: Lsn;
  /** Number of the segment; 0 when the log began after the record. */
  readonly number: number;
  /** {@link fingerprintOf} the segment's id. */
  readonly id: string;
  /** As in {@link ResumePoint}. */
  readonly session: string | undefined;
}

/**
 * Identifies a segment without revealing its id, which is the salt of its checksums: with the id, a sender could
 * construct payloads that look like frames.
 */
export function fingerprintOf(id: Uint8Array): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32);
}

/** The last record read by a reader that is before the first record of a segment. */
export function lastReadBefore({ header }: Link): LastRead {
  const { firstLsn, predecessor } = header;
  return {
    lsn: firstLsn - 1,
    number: predecessor?.number ?? 0,
    id: predecessor === undefined ? NO_ID : fingerprintOf(predecessor.id),
    session: predecessor === undefined ? undefined : SEGMENT_END,
  };
}

/** A record in a segment, as the last one read. @param session - in which it was written; `undefined` when it is not known */
export function lastReadIn({ header }: Link, lsn: Lsn, session: string | undefined): LastRead {
  return { lsn, number: header.number, id: fingerprintOf(header.segmentId), session };
}

/** The resume point after the last record read. */
export function resumePointOf({ lsn, number, id, session }: LastRead): ResumePoint {
  return Object.freeze({ lsn: lsn + 1, segment: number, id, ...(session === undefined ? {} : { session }) });
}

/** Returns `value` when it is a resume point. @throws `TypeError`, `RangeError` with Node's codes */
export function checkResumePoint(name: string, value: ResumePoint): ResumePoint {
  lastReadAt(name, value);
  return value;
}

/** The last record read by a reader that continues at a resume point. @throws `TypeError`, `RangeError` with Node's codes */
export function lastReadAt(name: string, point: ResumePoint): LastRead {
  const expected = 'an LSN, or a resume point with lsn, segment and id';
  if (point === null) throw invalidType(name, expected, point);
  const { lsn, segment, id, session } = checkOptions(name, point, RESUME_POINT);
  if (lsn === undefined || segment === undefined || id === undefined) throw invalidType(name, expected, point);
  if (typeof id !== 'string') throw invalidType(`${name}.id`, 'a string', id);
  if (!/^[0-9a-f]{32}$/.test(id)) throw outOfRange(`${name}.id`, '32 lower-case hexadecimal digits', id);
  if (session !== undefined && typeof session !== 'string') throw invalidType(`${name}.session`, 'a string', session);
  if (session !== undefined && session !== SEGMENT_END && !/^[0-9a-f]{16}$/.test(session)) {
    throw outOfRange(`${name}.session`, `16 lower-case hexadecimal digits or '${SEGMENT_END}'`, session);
  }
  return {
    lsn: checkLsn(`${name}.lsn`, lsn) - 1,
    number: checkInteger(`${name}.segment`, segment),
    id,
    session,
  };
}
