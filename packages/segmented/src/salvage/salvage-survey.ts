import { join } from 'node:path';
import { type Checkpoint, FileName, type SegmentHeader, type SegmentName, WalError } from '@walstack/codec';
import {
  corruption,
  isNoFile,
  LAST_POSITION,
  type Link,
  type LogFiles,
  readCheckpoint,
  readHeader,
  sameId,
} from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';

/**
 * No log gets so far: at a segment each second it takes 285 years. What has such a number, and nothing but its name to say
 * so, is not of the log. A salvage takes numbers above those of all others, which are above this one where something that it
 * has given up came close. So what can be read may have somewhat larger ones: a checkpoint less than a segment, as a salvage
 * goes on behind the number that it has.
 */
const LARGEST_NAMED = 9_000_000_000;
const LARGEST_NOTED = 9_500_000_000;
const LARGEST_SOUND = 9_900_000_000;

/** A segment of the log whose header can be read, but which is not whole: or a file that was one, by its name. */
export interface Remains {
  readonly number: number;
  readonly firstLsn: number;
  readonly path: string;
  /** `undefined` where it cannot be read. */
  readonly header: SegmentHeader | undefined;
}

/** The files of a damaged log by what they are to it. */
export interface Survey {
  /** `undefined` where neither a segment nor a checkpoint says it. */
  readonly logId: Uint8Array | undefined;
  /** Segments of the log whose headers are right and agree with their names, in the order of their numbers. */
  readonly sound: readonly Link[];
  /** Traces of segments that are not among them, in the order of their numbers. */
  readonly remains: readonly Remains[];
  /** Of this log; `undefined` where there is none, or none that can be used: damaged, or with a number that no log has. */
  readonly checkpoint: Checkpoint | undefined;
  /** Whether there is a checkpoint that is damaged, or of another log. */
  readonly checkpointUseless: boolean;
}

/** A file with the name of a segment. */
interface Found {
  readonly name: SegmentName;
  readonly path: string;
  readonly header: SegmentHeader | undefined;
}

/**
 * Looks at every file that has the name of a segment, and tells which of them are of the log.
 *
 * @throws `WAL_CORRUPT` where there are segments of several logs and nothing says which one it is
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
    const checkpoint = yield* readCheckpoint(io, directory);
    const { firstSegment, salvagedBelow = 1 } = checkpoint;
    return Math.max(firstSegment, salvagedBelow) <= LARGEST_NOTED ? checkpoint : undefined;
  } catch (error) {
    if (WalError.is(error, 'WAL_CORRUPT')) return undefined;
    throw error;
  }
}

/** The id of the log: the one of the checkpoint if a segment has it, else the one that all segments have. */
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
  // A segment that cannot be read may be of the log that the checkpoint names.
  if (checkpoint !== undefined && found.some(({ header }) => header === undefined)) {
    throw severalLogs(join(directory, FileName.checkpoint), (one as Found).path);
  }
  return one?.header?.logId;
}

/** Files of several logs, and nothing that tells which of them the directory is. */
export function severalLogs(path: string, other: string): WalError {
  const what =
    `it is of another log than ${other}, and nothing tells which of the two this directory is: ` +
    'move the files of the other one away';
  return corruption(path, 'other-log', what);
}

function sortFound(found: readonly Found[], logId: Uint8Array | undefined): Pick<Survey, 'sound' | 'remains'> {
  const sound: Link[] = [];
  const remains: Remains[] = [];
  for (const { name, path, header } of found) {
    if (header === undefined) remains.push({ number: name.number, firstLsn: name.firstLsn, path, header });
    else if (logId !== undefined && sameId(header.logId, logId)) {
      const { number, firstLsn } = header;
      const isWhole = number === name.number && firstLsn === name.firstLsn && header.firstPosition <= LAST_POSITION;
      if (isWhole && number <= LARGEST_SOUND) sound.push({ path, header });
      else remains.push({ number, firstLsn, path, header });
    }
  }
  // A copy tells nothing where the segment itself is there.
  const numbers = new Set(sound.map(({ header }) => header.number));
  const telling = remains.filter(({ number }) => number <= LARGEST_NAMED && !numbers.has(number));
  return { sound, remains: telling.sort((a, b) => a.number - b.number) };
}

/** Segments whose headers can be read. */
interface Sorted {
  /** Of the log, and agreeing with their names, in the order of their numbers. */
  readonly sound: readonly Link[];
  /** Of other logs. */
  readonly others: readonly Link[];
}

/** The segments of a directory, by whether they are of a log. */
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
