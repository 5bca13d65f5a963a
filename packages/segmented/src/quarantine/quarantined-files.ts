import { basename, dirname, join } from 'node:path';
import {
  decodeSegmentHeader,
  FileName,
  type Lsn,
  parseSegmentFileName,
  type SegmentHeader,
  WalError,
} from '@walstack/codec';
import { readHeader, sameId } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { kindOf } from '@walstack/storage-io/internal';
import { isSalvageDirectory } from '../salvage/quarantine.js';
import { limitOf, readJournal, type SalvageJournal } from '../salvage/salvage-journal.js';
import { isFailureOfFile } from '../segments/segment-file.js';

/** A segment file in a quarantine. */
export interface QuarantinedFile {
  readonly path: string;
  /** `undefined` when it cannot be read. */
  readonly header: SegmentHeader | undefined;
  /** The first LSN that is not read: a later segment of the log began with it, so that what is in this file from there on was cut off. */
  readonly limit: Lsn | undefined;
  /** What is not read below that, in ascending order: it was cut off behind a salvage, which had given up what comes behind it. */
  readonly cutOff: readonly CutOff[];
}

/** LSNs that a cut has removed. */
interface CutOff {
  readonly firstLsn: Lsn;
  /** The first LSN behind them. */
  readonly nextLsn: Lsn;
}

/** Where a segment begins: earlier ones were cut there, but for what only a salvage has given up. */
type Beginning = Pick<SegmentHeader, 'number' | 'firstLsn' | 'salvaged'>;

/** The segment files of a quarantine, in the order of their numbers. @param names - without a path, sorted */
export function* readQuarantinedFiles(
  io: StorageIo,
  directory: string,
  names: readonly string[],
): IoRoutine<readonly QuarantinedFile[]> {
  const headers: (SegmentHeader | undefined)[] = [];
  for (const name of names) headers.push(yield* readableHeader(io, join(directory, name)));
  const isReport = kindOf(io, join(directory, FileName.salvage)) === 'file';
  const journal = isReport ? yield* readJournal(io, directory) : undefined;
  const lowest = lowestOf(headers);
  const isAlone = journal === undefined || lowest === Number.POSITIVE_INFINITY;
  const elsewhere = isAlone ? [] : yield* beginningsBeside(io, directory, journal, lowest);
  const cutOff = cutOffIn(headers, [...beginningsIn(names, headers, journal), ...elsewhere]);
  return names.map((name, index) => {
    const header = headers[index];
    const path = join(directory, name);
    if (header === undefined) return { path, header, limit: undefined, cutOff: [] };
    const ranges = cutOff.get(header.number) ?? [];
    const last = ranges.at(-1);
    const isOpen = last?.nextLsn === Number.POSITIVE_INFINITY;
    const least = Math.min(isOpen ? last.firstLsn : Number.POSITIVE_INFINITY, keptUpTo(journal, name));
    const limit = Number.isFinite(least) ? least : undefined;
    return { path, header, limit, cutOff: isOpen ? ranges.slice(0, -1) : ranges };
  });
}

const lowestOf = (headers: readonly (SegmentHeader | undefined)[]): number =>
  headers.reduce((least, header) => Math.min(least, header?.number ?? least), Number.POSITIVE_INFINITY);

function* readableHeader(io: StorageIo, path: string): IoRoutine<SegmentHeader | undefined> {
  try {
    return yield* readHeader(io, path);
  } catch (error) {
    if (!WalError.is(error, 'WAL_BAD_HEADER')) throw error;
    return undefined;
  }
}

/**
 * The segments of the log that earlier salvages have put into other directories of its quarantine: one of them may have cut a file
 * that stayed in the log then. What cannot be read there shows nothing.
 *
 * @param lowest - the lowest number of a segment in this directory: only later ones have cut one
 */
function* beginningsBeside(
  io: StorageIo,
  directory: string,
  journal: SalvageJournal,
  lowest: number,
): IoRoutine<readonly Beginning[]> {
  const parent = dirname(directory);
  const others = isSalvageDirectory(directory) ? io.list(parent).filter(isSalvageDirectory) : [];
  const found: Beginning[] = [];
  for (const other of others) {
    if (other === basename(directory)) continue;
    try {
      found.push(...(yield* beginningsOf(io, join(parent, other), journal, lowest)));
    } catch (error) {
      if (!isFailureOfFile(error) && !WalError.is(error, 'WAL_UNSUPPORTED_VERSION')) throw error;
    }
  }
  return found;
}

/** Those that an earlier salvage has put into its directory. */
function* beginningsOf(
  io: StorageIo,
  place: string,
  { logId, number: newest }: SalvageJournal,
  lowest: number,
): IoRoutine<readonly Beginning[]> {
  if (kindOf(io, join(place, FileName.salvage)) !== 'file') return [];
  const journal = yield* readJournal(io, place);
  // What is in the directory has lower numbers than the segment that the salvage has made.
  if (journal === undefined || journal.number <= lowest || !sameId(journal.logId, logId)) return [];
  // What a later salvage has taken out of the log, and came behind this one, has cut nothing here.
  const isBetween = (number: number): boolean => number > lowest && number < newest;
  const names = io.list(place).filter((name) => isBetween(segmentNameOf(name)?.number ?? 0));
  const headers: (SegmentHeader | undefined)[] = [];
  for (const name of names) headers.push(yield* readableHeader(io, join(place, name)));
  return beginningsIn(names, headers, journal).filter(({ number }) => isBetween(number));
}

/** The segments that are known by their headers, or by the names that these had. */
function beginningsIn(
  names: readonly string[],
  headers: readonly (SegmentHeader | undefined)[],
  journal: SalvageJournal | undefined,
): readonly Beginning[] {
  const repairs = [...(journal?.earlier ?? []), ...(journal?.repairs ?? [])];
  const beginnings: Beginning[] = [...headers, ...repairs.map(({ header, name }) => decodeSegmentHeader(header, name))]
    .filter((header) => header !== undefined)
    .filter(({ logId }) => journal === undefined || sameId(logId, journal.logId));
  const unreadable = names.filter((_, index) => headers[index] === undefined);
  return journal === undefined ? beginnings : [...beginnings, ...namedIn(unreadable, beginnings, journal)];
}

/**
 * The segments of which a salvage had only the name, as it has decided with these names itself.
 * @param names - of files without a readable header
 */
function namedIn(
  names: readonly string[],
  known: readonly Beginning[],
  { hidden, number: newest, from }: SalvageJournal,
): readonly Beginning[] {
  const listed = new Set(hidden);
  // The damaged copy of a segment shows nothing.
  const taken = new Set([from.predecessor?.number, ...known.map(({ number }) => number)]);
  const named = new Map<number, Beginning>();
  for (const each of names) {
    const name = segmentNameOf(each);
    // The new segment has a number above those of all files that may be of the log.
    if (name === undefined || !listed.has(name.name) || name.number >= newest || taken.has(name.number)) continue;
    const { number } = name;
    // Of two files with one number one is the segment: what is behind the higher LSN was cut off in either case.
    const firstLsn = Math.max(name.firstLsn, named.get(number)?.firstLsn ?? 0);
    named.set(number, { number, firstLsn, salvaged: false });
  }
  return [...named.values()];
}

/**
 * By the number of each segment: what later ones have cut off, in ascending order. What a salvage has given up was not in the log any more
 * when a later one was cut.
 */
function cutOffIn(
  headers: readonly (SegmentHeader | undefined)[],
  beginnings: readonly Beginning[],
): ReadonlyMap<number, readonly CutOff[]> {
  const found = new Map<number, readonly CutOff[]>();
  const numbers = headers.flatMap((header) => (header === undefined ? [] : [header.number])).sort((a, b) => b - a);
  const later = beginnings.toSorted((a, b) => b.number - a.number || Number(a.salvaged) - Number(b.salvaged));
  let index = 0;
  let ranges: readonly CutOff[] = [];
  for (const number of numbers) {
    for (let each = later[index]; each !== undefined && each.number > number; each = later[++index]) {
      ranges = cutOffBefore(ranges, each);
    }
    found.set(number, ranges);
  }
  return found;
}

/** What is cut off of a segment where another one begins, before others have cut off these ranges. */
function cutOffBefore(ranges: readonly CutOff[], { firstLsn, salvaged }: Beginning): readonly CutOff[] {
  const below = ranges
    .filter((range) => range.firstLsn < firstLsn)
    .map((range) => ({ ...range, nextLsn: Math.min(range.nextLsn, firstLsn) }));
  if (salvaged) return below;
  const last = below.at(-1);
  const from = last?.nextLsn === firstLsn ? last.firstLsn : firstLsn;
  return [...below.filter((range) => range.firstLsn < from), { firstLsn: from, nextLsn: Number.POSITIVE_INFINITY }];
}

/** The name of a segment without the number that a second one of the same name has appended. */
export const segmentNameOf = (name: string): ReturnType<typeof parseSegmentFileName> =>
  parseSegmentFileName(name.replace(/\.\d{1,9}$/, ''));

/** The LSN with which the successor of a damaged segment begins, as the salvage around the damage has noted it. */
function keptUpTo(journal: SalvageJournal | undefined, name: string): Lsn {
  if (journal === undefined) return Number.POSITIVE_INFINITY;
  const repair = journal.repairs.find(({ original }) => original === name);
  const limit =
    repair === undefined ? journal.earlier.find(({ original }) => original === name)?.limit : limitOf(journal, repair);
  return limit ?? Number.POSITIVE_INFINITY;
}
