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

/** A segment file in a quarantine. */
export interface QuarantinedFile {
  readonly path: string;
  /** `undefined` when it cannot be read. */
  readonly header: SegmentHeader | undefined;
  /** The first LSN that is not read: a later segment of the log began with it, so that what is in this file from there on was cut off. */
  readonly limit: Lsn | undefined;
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
  const elsewhere = journal === undefined ? [] : yield* beginningsBeside(io, directory, journal);
  const limits = limitsOf(headers, [...beginningsIn(names, headers, journal), ...elsewhere]);
  return names.map((name, index) => {
    const header = headers[index];
    const path = join(directory, name);
    if (header === undefined) return { path, header, limit: undefined };
    const least = Math.min(limits.get(header.number) ?? Number.POSITIVE_INFINITY, keptUpTo(journal, name));
    return { path, header, limit: Number.isFinite(least) ? least : undefined };
  });
}

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
 * that stayed in the log then.
 */
function* beginningsBeside(
  io: StorageIo,
  directory: string,
  { logId, number: newest }: SalvageJournal,
): IoRoutine<readonly Beginning[]> {
  const parent = dirname(directory);
  const others = isSalvageDirectory(directory) ? io.list(parent).filter(isSalvageDirectory) : [];
  const found: Beginning[] = [];
  for (const other of others) {
    const place = join(parent, other);
    if (other === basename(directory) || kindOf(io, join(place, FileName.salvage)) !== 'file') continue;
    const journal = yield* readJournal(io, place);
    if (journal === undefined || !sameId(journal.logId, logId)) continue;
    const names = io.list(place).filter((name) => segmentNameOf(name) !== undefined);
    const headers: (SegmentHeader | undefined)[] = [];
    for (const name of names) headers.push(yield* readableHeader(io, join(place, name)));
    found.push(...beginningsIn(names, headers, journal));
  }
  // What a later salvage has taken out of the log, and came behind this one, has cut nothing here.
  return found.filter(({ number }) => number < newest);
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

/** By the number of each segment: the lowest LSN with which a later one begins. */
function limitsOf(
  headers: readonly (SegmentHeader | undefined)[],
  beginnings: readonly Beginning[],
): ReadonlyMap<number, Lsn> {
  const limits = new Map<number, Lsn>();
  const numbers = headers.flatMap((header) => (header === undefined ? [] : [header.number])).sort((a, b) => b - a);
  const later = beginnings.toSorted((a, b) => b.number - a.number || Number(a.salvaged) - Number(b.salvaged));
  let index = 0;
  let least = Number.POSITIVE_INFINITY;
  for (const number of numbers) {
    for (let each = later[index]; each !== undefined && each.number > number; each = later[++index]) {
      least = each.salvaged ? Number.POSITIVE_INFINITY : Math.min(least, each.firstLsn);
    }
    limits.set(number, least);
  }
  return limits;
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
