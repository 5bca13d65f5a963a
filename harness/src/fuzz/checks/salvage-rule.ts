import { decodeCheckpoint, parseSegmentFileName, WalError } from '@walstack/codec';
import { decodeFramedJson } from '@walstack/codec/internal';
import { headerOf } from '../logs/histories.js';
import type { Tree } from '../logs/trees.js';
import { crcOf, fieldsAt, frameAt, framesOf, problemOf } from './reference.js';

/** What docs/format.md says that salvage keeps, read off that page: the LSNs from the first one on, up to the next one. */
export interface Kept {
  readonly firstLsn: number;
  readonly nextLsn: number;
  /** The highest LSN that can be read in the newest sound segment, if nothing above it says that it ended before. */
  readonly lastRead: number;
}

/** A segment of the log, or what is left of one. */
interface Part {
  readonly number: number;
  readonly firstLsn: number;
  readonly bytes: Uint8Array;
  readonly header: NonNullable<ReturnType<typeof headerOf>> | undefined;
  readonly sound: boolean;
}

/** No log has segments with larger numbers: as names say, a checkpoint, and sound segments. */
const LARGEST = { named: 9_000_000_000, noted: 9_500_000_000, sound: 9_900_000_000 };

const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');

export function checkpointIn(tree: Tree) {
  const entry = tree.get('checkpoint');
  try {
    const read = entry instanceof Uint8Array ? decodeCheckpoint(entry, 'checkpoint') : undefined;
    return read !== undefined && Math.max(read.firstSegment, read.salvagedBelow ?? 1) <= LARGEST.noted
      ? read
      : undefined;
  } catch {
    return undefined;
  }
}

/** What the file `salvage` says of a salvage that has not ended. */
export interface Note {
  /** The first record that was to be kept, and what stands behind the last one. */
  readonly firstLsn: number;
  readonly nextLsn: number;
  readonly lost: readonly { readonly fromLsn: number; readonly toLsn: number }[];
}

/** `undefined` where there is none, or a damaged one. */
export function noteIn(tree: Tree): Note | undefined {
  const entry = tree.get('salvage');
  if (!(entry instanceof Uint8Array)) return undefined;
  try {
    return decodeFramedJson(entry, () => new WalError('WAL_CORRUPT', 'damaged')) as Note;
  } catch {
    return undefined;
  }
}

/**
 * The lowest LSN of the log that a file shows before its first kept segment, if what that one names is missing and was not
 * truncated; else the first kept one.
 *
 * @param first - the first kept segment
 */
export function begunBefore(
  tree: Tree,
  first: { readonly number: number; readonly firstLsn: number } | undefined,
): number {
  const headers = [...tree].flatMap(([path, entry]) => {
    const name = parseSegmentFileName(path);
    const header = entry instanceof Uint8Array && name !== undefined ? headerOf(entry) : undefined;
    const isSound = header !== undefined && header.number === name?.number && header.firstLsn === name.firstLsn;
    return isSound && header.number <= LARGEST.sound ? [header] : [];
  });
  // A segment of another log may have the same number.
  const kept = headers.find(({ number, firstLsn }) => number === first?.number && firstLsn === first.firstLsn);
  if (kept?.predecessor === undefined) return Number.POSITIVE_INFINITY;
  const read = checkpointIn(tree);
  const isOwn = read !== undefined && hex(read.logId) === hex(kept.logId);
  const firstNumber = isOwn ? read.firstSegment : 1;
  if (kept.predecessor.number < firstNumber) return kept.firstLsn;
  return headers
    .filter(({ number, logId }) => number >= firstNumber && number < kept.number && hex(logId) === hex(kept.logId))
    .reduce((begun, header) => Math.min(begun, header.firstLsn), kept.firstLsn);
}

/** The segments of the log that a directory holds. */
interface Parts {
  readonly sound: readonly Part[];
  /** Those that are sound and below the first segment of the log. */
  readonly truncated: readonly Part[];
  /** All that say something: the sound ones, and what is left of others. */
  readonly telling: readonly Part[];
  /** The number of the first segment; `undefined` where nothing says it. */
  readonly first: number | undefined;
}

function partsIn(tree: Tree): Parts | 'several logs' {
  const found = [...tree].flatMap(([path, entry]) => {
    const name = parseSegmentFileName(path);
    if (name === undefined) return [];
    const bytes = entry instanceof Uint8Array ? entry : new Uint8Array(0);
    return [{ name, bytes, header: headerOf(bytes) }];
  });
  const ids = new Set(found.flatMap(({ header }) => (header === undefined ? [] : [hex(header.logId)])));
  const read = checkpointIn(tree);
  const isOwn = read !== undefined && (ids.size === 0 || ids.has(hex(read.logId)));
  if (!isOwn && ids.size > 1) return 'several logs';
  if (!isOwn && ids.size > 0 && read && found.some(({ header }) => header === undefined)) return 'several logs';
  const logId = isOwn ? hex(read.logId) : [...ids][0];
  const first = isOwn ? read.firstSegment : tree.has('checkpoint') ? undefined : 1;

  const all: Part[] = found
    .filter(({ header }) => header === undefined || hex(header.logId) === logId)
    .map(({ name, bytes, header }) => {
      const { number, firstLsn } = header ?? name;
      return {
        number,
        firstLsn,
        bytes,
        header,
        sound: number === name.number && firstLsn === name.firstLsn && !!header,
      };
    })
    .filter(({ number, sound }) => number <= (sound ? LARGEST.sound : LARGEST.named));
  const isTruncated = ({ number }: Part): boolean => number < (first ?? 1);
  const sound = all.filter((part) => part.sound && !isTruncated(part));
  return {
    sound,
    truncated: all.filter((part) => part.sound && isTruncated(part)),
    telling: all.filter(
      (part) => !isTruncated(part) && (part.sound || !sound.some(({ number }) => number === part.number)),
    ),
    first,
  };
}

/** The segments of a chain from its first one up to `top`, as far as they are there, and the number of one that is missing. */
function chainTo(top: Part, sound: readonly Part[], first: number): { chain: Part[]; missing: number | undefined } {
  const chain = [top];
  for (;;) {
    const predecessor = chain[0]?.header?.predecessor;
    if (predecessor === undefined || predecessor.number < first) return { chain, missing: undefined };
    const { number, id } = predecessor;
    const below = sound.find((each) => each.number === number && hex(each.header?.segmentId as Uint8Array) === hex(id));
    if (below === undefined) return { chain, missing: number };
    chain.unshift(below);
  }
}

/** What is kept when a person has chosen the LSN to go on with; `'asks'` where no records stand before that. */
export function keptWhenTold(tree: Tree, salvageLsn: number): Omit<Kept, 'lastRead'> | 'several logs' | 'asks' {
  const parts = partsIn(tree);
  if (parts === 'several logs') return parts;
  const { sound, truncated, telling, first } = parts;
  const before = [...truncated, ...sound].filter(({ firstLsn }) => firstLsn < salvageLsn);
  const top = before.sort((a, b) => b.number - a.number).find((part) => readUpTo(part, salvageLsn).reaches);
  if (top === undefined) {
    const isBegun = telling.some(({ firstLsn }) => firstLsn < salvageLsn) || before.length > 0;
    const hasSound = sound.length + truncated.length > 0;
    return isBegun && hasSound ? 'asks' : { firstLsn: salvageLsn, nextLsn: salvageLsn };
  }
  const nextLsn = readUpTo(top, salvageLsn).wholeUpTo;
  const { chain } = chainTo(top, [...truncated, ...sound], truncated.includes(top) ? 1 : (first ?? 1));
  let { firstLsn } = top;
  for (let index = chain.length - 2; index >= 0; index--) {
    const part = chain[index] as Part;
    if (!readUpTo(part, (chain[index + 1] as Part).firstLsn).reaches) break;
    ({ firstLsn } = part);
  }
  return { firstLsn, nextLsn };
}

/** What is kept; `'several logs'`, or `'asks'` for an LSN. */
export function keptBySalvage(tree: Tree): Kept | 'several logs' | 'asks' {
  const parts = partsIn(tree);
  if (parts === 'several logs') return parts;
  const { sound, telling, first } = parts;

  const highest = (above: number, limit: number): Part | undefined =>
    telling.filter(({ number, firstLsn }) => number < above && firstLsn < limit).sort((a, b) => b.number - a.number)[0];
  const newest = sound.length === 0 ? undefined : sound.reduce((a, b) => (b.number > a.number ? b : a));
  const isEnd = newest !== undefined && highest(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY) === newest;
  const lastRead = isEnd ? readUpTo(newest, Number.POSITIVE_INFINITY).readable - 1 : 0;

  let limit = Number.POSITIVE_INFINITY;
  let above = Number.POSITIVE_INFINITY;
  for (;;) {
    const top = highest(above, limit);
    if (top === undefined) return above === first ? { firstLsn: limit, nextLsn: limit, lastRead } : 'asks';
    if (telling.filter((part) => part.number === top.number).length > 1) return 'asks';
    if (!top.sound) {
      ({ number: above, firstLsn: limit } = top);
      continue;
    }
    const { chain, missing } = chainTo(top, sound, first ?? 1);
    const isBeginning = first === undefined && !telling.some(({ number }) => number <= (missing ?? 0));
    if (missing !== undefined && !isBeginning) {
      const [hole, ...others] = telling.filter(({ number }) => number === missing);
      if (hole === undefined || hole.sound || others.length > 0) return 'asks';
      ({ number: above, firstLsn: limit } = hole);
      continue;
    }
    const bottom = readUpTo(top, limit);
    const fits = bottom.reaches && (bottom.readable === limit || top.number === above - 1);
    if (limit !== Number.POSITIVE_INFINITY && !fits) return 'asks';
    const firstLsn = (chain[0] as Part).firstLsn;
    for (const [index, part] of chain.entries()) {
      const next = readUpTo(part, chain[index + 1]?.firstLsn ?? limit);
      if (!next.reaches) return { firstLsn, nextLsn: next.whole, lastRead };
    }
    return { firstLsn, nextLsn: limit, lastRead };
  }
}

/** The LSN behind the last record that can be read, and behind the last one that no unfinished batch ends: of all, and of those before `limit`. */
function readUpTo({ bytes, header, firstLsn }: Part, limit: number) {
  let readable = firstLsn;
  let whole = firstLsn;
  let wholeUpTo = firstLsn;
  for (const at of framesIn(bytes, header)) {
    const fields = fieldsAt(bytes, at);
    if (fields.length < 24 || Number(fields.lsn) !== readable || problemOf(fields) !== undefined) break;
    if ((fields.flags & 16) !== 0) continue;
    if ((fields.flags & 32) !== 0) {
      readable += fields.type;
      whole = readable;
      wholeUpTo = Math.max(wholeUpTo, Math.min(readable, limit));
      continue;
    }
    readable++;
    if ((fields.flags & 1) !== 0) continue;
    whole = readable;
    if (readable <= limit) wholeUpTo = readable;
  }
  return { readable, whole, wholeUpTo, reaches: readable >= limit };
}

/** Whether a segment has no record that can be read. */
export function hasNoRecord(bytes: Uint8Array): boolean {
  const header = headerOf(bytes);
  if (header === undefined) return false;
  const { number, firstLsn } = header;
  return readUpTo({ number, firstLsn, bytes, header, sound: true }, Number.POSITIVE_INFINITY).readable === firstLsn;
}

function framesIn(bytes: Uint8Array, header: Part['header']): number[] {
  if (header === undefined || header.blockBytes >= bytes.length) return [];
  const { blockBytes, segmentId } = header;
  const seed = crcOf(segmentId);
  const stretch = { bytes, start: blockBytes, end: bytes.length, position: blockBytes, blockBytes, seed };
  return framesOf(stretch, bytes.length).slice(0, -1);
}

/**
 * The highest LSN up to `last` that a frame anywhere in a segment proves to have been durable; that before its first one
 * where none does.
 */
export function provenIn(bytes: Uint8Array, last: number): number {
  const header = headerOf(bytes);
  if (header === undefined) return 0;
  const seed = crcOf(header.segmentId);
  let proven = header.firstLsn - 1;
  for (let at = header.blockBytes; at + 32 <= bytes.length; at++) {
    const fields = fieldsAt(bytes, at);
    const lsn = Number(fields.lsn);
    const isOurs = fields.length >= 24 && lsn >= header.firstLsn && lsn <= last + 1 && problemOf(fields) === undefined;
    if (!isOurs || lsn - fields.lag <= proven || fields.lag === 0xffff_ffff) continue;
    if (frameAt(bytes, at, bytes.length, seed) !== undefined) proven = Math.min(last, lsn - fields.lag);
  }
  return proven;
}
