import { join } from 'node:path';
import { type Checkpoint, FileName, type SegmentHeader, type SegmentName, WalError } from '@walstack/codec';
import { settled } from '@walstack/codec/internal';
import {
  corruption,
  isNoFile,
  type Link,
  type LogFiles,
  POSITION_MAX,
  readCheckpoint,
  readHeader,
  sameId,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';

/**
 * Limits of plausible segment numbers: no log reaches them, as with one segment each second that takes 285 years. A file
 * that has a larger number only in its name is not part of the log. A salvage uses a number above those of all files, so
 * that it may exceed the first limit if a file came close to it. Therefore readable files may have somewhat larger numbers:
 * a checkpoint less than a segment, as a salvage continues with a number behind the one in the checkpoint.
 */
const LARGEST_NAMED = 9_000_000_000;
const LARGEST_NOTED = 9_500_000_000;
const LARGEST_SOUND = 9_900_000_000;

/**
 * A damaged segment: its header disagrees with its name, or cannot be read, so that only the name shows that it was a
 * segment.
 */
export interface Remains {
  readonly number: number;
  readonly firstLsn: number;
  readonly path: string;
  /** `undefined` when it cannot be read. */
  readonly header: SegmentHeader | undefined;
}

/** The files of a damaged log, classified. */
export interface Survey {
  /** `undefined` when neither a segment nor a checkpoint contains it. */
  readonly logId: Uint8Array | undefined;
  /** Segments of the log whose headers are valid and agree with their names, in the order of their numbers. */
  readonly sound: readonly Link[];
  /** Damaged segments that are not among them, in the order of their numbers. */
  readonly remains: readonly Remains[];
  /** The checkpoint of this log; `undefined` when there is none that can be used. */
  readonly checkpoint: Checkpoint | undefined;
  /**
   * Whether there is a checkpoint that cannot be used: damaged, of another log, or with an implausible segment number.
   */
  readonly checkpointUseless: boolean;
}

/** A file with the name of a segment. */
interface Found {
  readonly name: SegmentName;
  readonly path: string;
  readonly header: SegmentHeader | undefined;
}

/**
 * Reads the header of every file with the name of a segment, and decides which files belong to the log.
 *
 * @throws `WAL_CORRUPT` when there are segments of several logs and nothing shows which log the directory is
 */
export function* surveyOf(io: StorageIo, directory: string, files: LogFiles): IoRoutine<Survey> {
  const found = yield* findSegments(io, directory, files);
  const read = files.checkpoint ? yield* readableCheckpoint(io, directory) : undefined;
  const logId = logOf(directory, found, read);
  const checkpoint = read !== undefined && logId !== undefined && sameId(read.logId, logId) ? read : undefined;
  return {
    logId,
    ...sortFound(found, logId),
    checkpoint,
    checkpointUseless: files.checkpoint && checkpoint === undefined,
  };
}

function* readableHeader(io: StorageIo, path: string): IoRoutine<SegmentHeader | undefined> {
  try {
    return yield* readHeader(io, path);
  } catch (error) {
    if (WalError.is(error, 'WAL_BAD_HEADER') || isNoFile(error)) return undefined;
    throw error;
  }
}

function* readableCheckpoint(io: StorageIo, directory: string): IoRoutine<Checkpoint | undefined> {
  try {
    // What is before is moved to quarantine, and not removed.
    const checkpoint = settled(yield* readCheckpoint(io, directory));
    const { firstSegment, salvagedBelow = 1 } = checkpoint;
    return Math.max(firstSegment, salvagedBelow) <= LARGEST_NOTED ? checkpoint : undefined;
  } catch (error) {
    if (WalError.is(error, 'WAL_CORRUPT')) return undefined;
    throw error;
  }
}

/** The id of the log: that of the checkpoint if a segment has it too, else the one that all segments have. */
function logOf(directory: string, found: readonly Found[], checkpoint: Checkpoint | undefined): Uint8Array | undefined {
  const ids = new Map<string, Found>();
  for (const each of found) {
    if (each.header !== undefined) ids.set(Buffer.from(each.header.logId).toString('hex'), each);
  }
  if (checkpoint !== undefined && (ids.size === 0 || ids.has(Buffer.from(checkpoint.logId).toString('hex')))) {
    return checkpoint.logId;
  }
  const [one, other] = [...ids.values()];
  if (other !== undefined) throw severalLogs((one as Found).path, other.path);
  // A segment that cannot be read may belong to the log of the checkpoint.
  if (checkpoint !== undefined && found.some(({ header }) => header === undefined)) {
    throw severalLogs(join(directory, FileName.checkpoint), (one as Found).path);
  }
  return one?.header?.logId;
}

/** The error for a directory with files of several logs, when nothing shows which log it is. */
export function severalLogs(path: string, other: string): WalError {
  const what =
    `it belongs to another log than ${other}, and nothing shows which of the two this directory is: ` +
    'move the files of the other log away';
  return corruption(path, 'other-log', what);
}

function sortFound(found: readonly Found[], logId: Uint8Array | undefined): Pick<Survey, 'sound' | 'remains'> {
  const sound: Link[] = [];
  const remains: Remains[] = [];
  for (const { name, path, header } of found) {
    if (header === undefined) remains.push({ number: name.number, firstLsn: name.firstLsn, path, header });
    else if (logId !== undefined && sameId(header.logId, logId)) {
      const { number, firstLsn } = header;
      const isWhole = number === name.number && firstLsn === name.firstLsn && header.firstPosition <= POSITION_MAX;
      if (isWhole && number <= LARGEST_SOUND) sound.push({ path, header });
      else remains.push({ number, firstLsn, path, header });
    }
  }
  // A damaged copy is irrelevant when the intact segment exists.
  const numbers = new Set(sound.map(({ header }) => header.number));
  const telling = remains.filter(({ number }) => number <= LARGEST_NAMED && !numbers.has(number));
  return { sound, remains: telling.sort((a, b) => a.number - b.number) };
}

/** Segments whose headers can be read. */
interface Sorted {
  /** Segments of the log whose headers agree with their names, in the order of their numbers. */
  readonly sound: readonly Link[];
  /** Segments of other logs. */
  readonly others: readonly Link[];
}

/** The segments of a directory: those of a log, and those of other logs. */
export function* segmentsOfLog(
  io: StorageIo,
  directory: string,
  files: LogFiles,
  logId: Uint8Array,
): IoRoutine<Sorted> {
  const found = yield* findSegments(io, directory, files);
  const others = found.flatMap(({ path, header }) =>
    header === undefined || sameId(header.logId, logId) ? [] : [{ path, header }],
  );
  return { sound: sortFound(found, logId).sound, others };
}

function* findSegments(io: StorageIo, directory: string, files: LogFiles): IoRoutine<readonly Found[]> {
  const found: Found[] = [];
  for (const name of files.segments) {
    const path = join(directory, name.name);
    found.push({ name, path, header: yield* readableHeader(io, path) });
  }
  return found;
}
