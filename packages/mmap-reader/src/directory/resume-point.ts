import { createHash } from 'node:crypto';
import { checkInteger, checkLsn, checkOptions, invalidType, type Lsn, optionNames, outOfRange } from '@walstack/codec';
import type { Link } from '../chain/chain.js';

/**
 * Where the reading of a log goes on, and what stands before: a plain value that JSON takes as it is. An LSN alone may be given
 * out again after the log was cut off; that of a record in a segment is not. So a reading that begins here says so when
 * anything before `lsn` was cut off since.
 */
export interface ResumePoint {
  /** The LSN of the record that comes next. */
  readonly lsn: Lsn;
  /** Number of the segment that holds the record before it; 0 when the log begins with `lsn`. */
  readonly segment: number;
  /** What identifies that segment, 32 hexadecimal digits; zeros when there is none. It tells nothing of the segment's id. */
  readonly id: string;
}

const RESUME_POINT = optionNames<ResumePoint>({ lsn: true, segment: true, id: true });

const NO_ID = '0'.repeat(32);

/** The last record that a reader has, and the segment that holds it. */
export interface Known {
  readonly lsn: Lsn;
  /** Number of the segment; 0 when the log began behind the record. */
  readonly number: number;
  /** {@link fingerprintOf} the segment's id. */
  readonly id: string;
}

/**
 * Tells segments apart without telling their ids, which are the salt of checksums: with one known, a sender could make payloads that
 * look like frames.
 */
function fingerprintOf(id: Uint8Array): string {
  return createHash('sha256').update(id).digest('hex').slice(0, 32);
}

/** What a reader has that comes to the first record of a segment. */
export function knownBefore({ header }: Link): Known {
  const { firstLsn, predecessor } = header;
  return {
    lsn: firstLsn - 1,
    number: predecessor?.number ?? 0,
    id: predecessor === undefined ? NO_ID : fingerprintOf(predecessor.id),
  };
}

/** What a reader has that has come to a record in a segment. */
export function knownIn({ header }: Link, lsn: Lsn): Known {
  return { lsn, number: header.number, id: fingerprintOf(header.segmentId) };
}

/** Where a reader goes on that has so much. */
export function resumePointOf({ lsn, number, id }: Known): ResumePoint {
  return Object.freeze({ lsn: lsn + 1, segment: number, id });
}

/** Returns `value` when it is a resume point. @throws `TypeError`, `RangeError` with Node's codes */
export function checkResumePoint(name: string, value: ResumePoint): ResumePoint {
  knownAt(name, value);
  return value;
}

/** What a reader has that goes on at a point. @throws `TypeError`, `RangeError` with Node's codes */
export function knownAt(name: string, point: ResumePoint): Known {
  const { lsn, segment, id } = checkOptions(name, point, RESUME_POINT);
  if (lsn === undefined || segment === undefined || id === undefined) {
    throw invalidType(name, 'an LSN, or a resume point with lsn, segment and id', point);
  }
  if (typeof id !== 'string') throw invalidType(`${name}.id`, 'a string', id);
  if (!/^[0-9a-f]{32}$/.test(id)) throw outOfRange(`${name}.id`, '32 lower-case hexadecimal digits', id);
  return {
    lsn: checkLsn(`${name}.lsn`, lsn) - 1,
    number: checkInteger(`${name}.segment`, segment),
    id,
  };
}

/**
 * Holds what a reader has against the chain as it is now. A segment's number is never used twice, and a segment that was cut
 * off never gets back into the chain. So the first segment behind the known one says where the log parts from what the reader
 * has, and its predecessor whether segments in between were removed since.
 *
 * @param links - from the oldest segment on, or from one whose number is at most the known one
 * @returns the first LSN that was cut off of what the reader has, 1 where nothing says which; `undefined` when none was
 */
export function cutOf(links: readonly Link[], known: Known): Lsn | undefined {
  const own = links.find(({ header }) => header.number === known.number)?.header;
  const next = links.find(({ header }) => header.number > known.number)?.header;
  // It is another log, or a copy of it that has gone on in its own way.
  if (own !== undefined && fingerprintOf(own.segmentId) !== known.id) return 1;
  if (next === undefined) return own === undefined ? 1 : undefined;
  const before = next.predecessor?.number ?? 0;
  // The log began anew behind the segment that the reader knows, wherever it goes on.
  if (next.predecessor === undefined && known.number > 0) return 1;
  if (next.firstLsn <= known.lsn) {
    // Where segments were removed before it, the cut may have been in any of them.
    return before > 0 && before <= known.number ? next.firstLsn : 1;
  }
  if (next.firstLsn > known.lsn + 1) return undefined;
  // It begins where the reader is: the record before it has to be the one that the reader has.
  const isSame =
    before === known.number && (next.predecessor === undefined || fingerprintOf(next.predecessor.id) === known.id);
  return isSame ? undefined : 1;
}
