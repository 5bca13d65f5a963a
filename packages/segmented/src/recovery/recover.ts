import { basename } from 'node:path';
import {
  blockEnd,
  frameStart,
  type Lsn,
  MARK_FRAME_BYTES,
  MarkType,
  parseSegmentFileName,
  type SegmentName,
  sealFrames,
  WalError,
  writeMark,
} from '@walstack/codec';
import {
  ALWAYS_ENCRYPTED,
  corruption,
  FrameSummary,
  type Link,
  type LogFiles,
  openStreamed,
  type Segment,
  seedOf,
  withWritableFile,
} from '@walstack/mmap-reader/segments';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { moveToQuarantine, quarantineOf, salvagedAbove } from '../salvage/quarantine.js';
import type { ActiveSegment } from '../segments/active-segment.js';
import { checkKeys, loadCurrentKey, statementOf } from '../segments/keys.js';
import { placeCheckpoint, syncAncestors } from '../segments/log-directory.js';
import { closingOnFailure, makeNamed, removeAll, removeDrafts, syncName } from '../segments/new-segment.js';
import { BEGINNING, isEmpty, linkBehind } from '../segments/segment.js';
import { cutToSize, isFailureOfRemoval } from '../segments/segment-file.js';
import type { LogStart } from '../write/segment-writer.js';
import { analyzeLog, type LogAnalysis } from './analyze-log.js';
import { type RecoveryReport, reportOf } from './recovery-report.js';

/** How a log starts after opening it. */
export interface Opened {
  readonly start: LogStart;
  readonly report: RecoveryReport;
  /** There is no room on the disk for the segment that the next record needs. */
  readonly noSpace: WalError | undefined;
}

/** Makes a new log of one empty segment; durable on return, its directory's name included. */
export function* createLog(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  const { io } = world;
  yield* loadCurrentKey(settings.keyRing, blocking);
  const { directory, firstLsn, coreId } = settings;
  yield* syncAncestors(io, directory);
  yield* removeDrafts(world, settings, files);
  const logId = world.randomBytes(16);
  const active = yield* makeNamed(world, settings, {
    logId,
    coreId,
    number: 1,
    firstLsn,
    encryptedFrom: ALWAYS_ENCRYPTED,
    from: BEGINNING,
  });
  yield* syncName(world, settings, active);
  return {
    start: {
      logId,
      coreId,
      sealed: [],
      active,
      nextLsn: firstLsn,
      nextNumber: 2,
      checkpoint: undefined,
      free: [],
      encryptedFrom: settings.keyRing === undefined ? undefined : ALWAYS_ENCRYPTED,
    },
    report: reportOf({
      mode: settings.recoveryMode,
      created: true,
      cleanlyClosed: true,
      segments: 0,
      records: 0,
      firstLsn,
      nextLsn: firstLsn,
      cutBytes: 0,
    }),
    noSpace: undefined,
  };
}

/**
 * Recovers a log: decides by reading alone what is kept, then makes that durable and cuts off the torn tail, and goes
 * on in a new segment, so that writes of a killed process which still land in the old file are hidden. Each step can be
 * repeated after a crash in it.
 *
 * @param files - of the directory; at least one segment
 * @param blocking - there is no waiting for a key service
 * @throws what {@link analyzeLog} and {@link checkKeys} throw, with nothing changed
 */
export function* recoverLog(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  const { judgement, settled, encryptedFrom } = yield* judgeAndSettle(world, settings, files, blocking);
  const segments = [...judgement.segments.slice(0, -1), settled];
  const { checkpoint } = judgement;
  const nextNumber = settled.header.number + 1;
  const making = { number: nextNumber, encryptedFrom };
  const unplaced = yield* placeAgain(world, settings, files, judgement);
  const next =
    unplaced !== undefined
      ? { active: undefined, noSpace: unplaced }
      : judgement.cleanlyClosed
        ? NOTHING
        : yield* makeNext(world, settings, files, segments, making);
  const replaced = next.active !== undefined && isEmpty(settled) ? [settled.path] : [];
  if (unplaced === undefined) {
    yield* closingOnFailure(world, next.active, cleanUp(world, settings, files, judgement, replaced));
  }
  return {
    start: {
      logId: settled.header.logId,
      coreId: settled.header.coreId,
      sealed: replaced.length === 0 ? segments : segments.slice(0, -1),
      active: next.active,
      nextLsn: settled.nextLsn,
      nextNumber: next.active === undefined ? nextNumber : nextNumber + 1,
      checkpoint,
      checkpointIsDurable: checkpoint === undefined || (unplaced === undefined && isToPlace(judgement)),
      free: files.free,
      encryptedFrom,
    },
    report: reportOn(judgement, settings),
    noSpace: next.noSpace,
  };
}

/** Decides what is kept, and settles the tail of it: again where that has become shorter since it was read. */
function* judgeAndSettle(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<{ readonly judgement: LogAnalysis; readonly settled: Segment; readonly encryptedFrom: Lsn | undefined }> {
  for (let keptBefore = Number.POSITIVE_INFINITY; ; ) {
    const judgement = yield* analyzeLog(world.io, settings.directory, files);
    const newest = judgement.segments.at(-1) as Segment;
    checkCore(newest, settings);
    const encryptedFrom = yield* checkKeys(world.io, settings, judgement.segments, blocking);
    yield* loadCurrentKey(settings.keyRing, blocking);
    const settled = isEmpty(newest) ? newest : yield* settleWithRoom(world, settings, files, newest, judgement);
    if (settled !== undefined) return { judgement, settled, encryptedFrom };
    if (newest.nextLsn >= keptBefore) throw unsteady(newest);
    keptBefore = newest.nextLsn;
  }
}

/**
 * {@link repairTail}, also where a file system needs room for what is written in place: what was prepared for later may have
 * taken it.
 */
function* settleWithRoom(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  newest: Segment,
  judgement: LogAnalysis,
): IoRoutine<Segment | undefined> {
  try {
    return yield* repairTail(world, newest, judgement);
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE') || files.drafts.length === 0) throw error;
  }
  yield* ioSteps.syncDirectory(world.io, settings.directory);
  yield* removeDrafts(world, settings, files);
  return yield* repairTail(world, newest, judgement);
}

/** What could be read of a segment cannot be read any more. */
export function unsteady({ path, end, nextLsn }: Segment): WalError {
  const what = 'what can be read of it is something else each time that it is read';
  return corruption(path, 'unsteady', what, { offset: end, lsn: nextLsn });
}

/** @throws `WAL_BAD_HEADER` when the log belongs to another core than it is opened for */
export function checkCore({ header, path }: Link, { coreId }: Settings): void {
  if (coreId === undefined || coreId === header.coreId) return;
  const owner = header.coreId === undefined ? 'no core' : `core ${header.coreId}`;
  throw new WalError('WAL_BAD_HEADER', `${path} belongs to ${owner}, not to core ${coreId}; nothing was changed`, {
    path,
    reason: 'other-core',
  });
}

/**
 * Whether the checkpoint is written again before the log goes on. The mark of a clean close does not prove that it is durable:
 * it may have been replaced in a later life, which wrote no record and failed. Where no file goes because of it, that is put
 * off until something depends on it.
 */
const isToPlace = ({ cleanlyClosed, leftovers }: LogAnalysis): boolean => !cleanlyClosed || leftovers.length > 0;

/**
 * Writes the checkpoint of a log again: the sync behind its rename may have failed, and then a power cut
 * takes back what was read here, after the files were removed that it says are not needed. Durable with the next sync of
 * the directory.
 *
 * @returns why it had to be put off: the disk is full
 */
function* placeAgain(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  judgement: LogAnalysis,
): IoRoutine<WalError | undefined> {
  const { checkpoint } = judgement;
  if (checkpoint === undefined || !isToPlace(judgement)) return undefined;
  const { io } = world;
  const { directory } = settings;
  try {
    yield* placeCheckpoint(io, directory, checkpoint);
    return undefined;
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
  }
  yield* ioSteps.syncDirectory(io, directory);
  // What was prepared for later may have taken the room.
  yield* removeDrafts(world, settings, files);
  try {
    yield* placeCheckpoint(io, directory, checkpoint);
    return undefined;
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return error;
    throw error;
  }
}

/** Gets rid of what the log does without: only when the names are durable because of which it does. */
function* cleanUp(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  judgement: LogAnalysis,
  replaced: readonly string[],
): IoRoutine<void> {
  const { leftovers } = judgement;
  const aside = givenUp(judgement);
  yield* ioSteps.syncDirectory(world.io, settings.directory);
  for (const [segment, paths] of aside) yield* supersede(world, settings.directory, segment, paths);
  const kept = new Set([...aside.values()].flat());
  yield* removeLeftovers(world, [...leftovers.filter((path) => !kept.has(path)), ...replaced]);
  yield* removeDrafts(world, settings, files);
}

/** Removes what the log does without. A file that cannot be removed is no reason not to open it: it is left over again. */
function* removeLeftovers(world: Environment, paths: readonly string[]): IoRoutine<void> {
  for (const path of paths) {
    try {
      yield* removeAll(world, [path]);
    } catch (error) {
      if (!isFailureOfRemoval(error)) throw error;
    }
  }
}

/**
 * The leftovers that a salvage has given up, by the segment that they are kept aside for: those that lie under one made by
 * salvage, and all that are older than the last one, which may be gone by now.
 */
function givenUp({ segments, leftovers, checkpoint }: LogAnalysis): ReadonlyMap<Segment, readonly string[]> {
  const oldest = segments[0] as Segment;
  const aside = new Map<Segment, string[]>();
  for (const path of leftovers) {
    const { number } = parseSegmentFileName(basename(path)) as SegmentName;
    const isOld = number < (checkpoint?.salvagedBelow ?? 0);
    const owner = salvagedAbove(segments, number) ?? (isOld ? oldest : undefined);
    if (owner === undefined) continue;
    const paths = aside.get(owner);
    if (paths === undefined) aside.set(owner, [path]);
    else paths.push(path);
  }
  return aside;
}

/** Moves what salvage left behind where a crash interrupted it; on a full disk that is put off. */
function* supersede(
  world: Environment,
  directory: string,
  { header }: Segment,
  paths: readonly string[],
): IoRoutine<void> {
  try {
    yield* moveToQuarantine(world, directory, quarantineOf(world.io, directory, header), paths);
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
  }
}

/**
 * The steps on the newest segment's file: what is kept is written again, marked, and what is behind it cut off.
 *
 * @returns `undefined` when what was kept cannot be read any more
 */
function* repairTail(world: Environment, newest: Segment, judgement: LogAnalysis): IoRoutine<Segment | undefined> {
  if (judgement.cleanlyClosed) return newest;
  const { provenLsn, unprovenFrom, endsWithMark } = judgement;
  return yield* withWritableFile(world.io, newest.path, function* (file) {
    const range = { from: unprovenFrom ?? newest.end, nextLsn: provenLsn + 1 };
    if (unprovenFrom !== undefined && !(yield* rewrite(world, file, newest, range))) return undefined;
    const end = endsWithMark ? newest.end : yield* markEnd(world, file, newest);
    yield* cutToSize(world.io, file, end, newest.header.blockBytes);
    return { ...newest, end };
  });
}

/**
 * Writes what is kept of a segment again with the same bytes, and syncs it: after a sync that failed, the page cache may
 * show bytes that the disk never got, and a second sync alone would write nothing. A page that was dropped since the segment was
 * read is not there any more: so what is written are bytes whose checksums were verified where they are written from.
 *
 * @param file - of the segment, open for writing
 * @param range - from where on; default all of it
 * @returns whether all of it could be read again
 */
export function* rewrite(
  world: Environment,
  file: IoFile,
  segment: Segment,
  range: { readonly from?: number; readonly nextLsn?: Lsn } = {},
): IoRoutine<boolean> {
  const { io } = world;
  const scanner = yield* openStreamed(io, segment, { ...range, limit: segment.end });
  const { frames } = scanner;
  const summary = new FrameSummary(0);
  try {
    for (let written = frames.end; yield* scanner.fill(); written = frames.end) {
      frames.skip(summary);
      if (frames.end === written) break;
      // The padding before them, of which nothing counts but that there is no frame.
      if (frames.foundAt > written) yield* ioSteps.write(io, file, new Uint8Array(frames.foundAt - written), written);
      yield* ioSteps.write(io, file, frames.foundBytes, frames.foundAt);
    }
    if (frames.end !== segment.end || frames.nextLsn !== segment.nextLsn) return false;
  } finally {
    scanner.close();
  }
  yield* ioSteps.datasync(io, file);
  return true;
}

/**
 * Writes the mark of recovery behind what is kept, with zeros to the end of its block, and returns where it ends. On a
 * full disk it is left out.
 */
function* markEnd(world: Environment, file: IoFile, newest: Segment): IoRoutine<number> {
  const { header, end, nextLsn } = newest;
  const start = frameStart(end, header.blockBytes);
  const markEndsAt = start + MARK_FRAME_BYTES;
  const bytes = new Uint8Array(blockEnd(markEndsAt, header.blockBytes) - end);
  const elapsedMs = world.now() - header.createdAtMs;
  writeMark(new DataView(bytes.buffer), start - end, nextLsn, MarkType.recovered, elapsedMs);
  sealFrames(bytes, start - end, bytes.length, start, header.blockBytes, seedOf(header));
  try {
    yield* ioSteps.write(world.io, file, bytes, end);
    yield* ioSteps.datasync(world.io, file);
    return markEndsAt;
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return end;
    throw error;
  }
}

interface Next {
  readonly active: ActiveSegment | undefined;
  readonly noSpace: WalError | undefined;
}

const NOTHING: Next = { active: undefined, noSpace: undefined };

/** Makes the segment that the log goes on in; on a full disk that is put off. */
function* makeNext(
  world: Environment,
  settings: Settings,
  files: LogFiles,
  segments: readonly Segment[],
  { number, encryptedFrom }: { readonly number: number; readonly encryptedFrom: Lsn | undefined },
): IoRoutine<Next> {
  const last = segments.at(-1) as Segment;
  yield* ioSteps.syncDirectory(world.io, settings.directory);
  yield* removeDrafts(world, settings, files);
  const { logId, coreId } = last.header;
  let active: ActiveSegment;
  try {
    active = yield* makeNamed(world, settings, {
      logId,
      coreId,
      number,
      firstLsn: last.nextLsn,
      encryptedFrom: statementOf(segments, encryptedFrom ?? 0, last.nextLsn),
      from: linkBehind(last),
    });
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return { active: undefined, noSpace: error };
    throw error;
  }
  yield* syncName(world, settings, active);
  return { active, noSpace: undefined };
}

/** The report on a log in which nothing acknowledged is lost. */
export function reportOn(judgement: LogAnalysis, { recoveryMode }: Settings): RecoveryReport {
  const [first] = judgement.segments;
  const newest = judgement.segments.at(-1) as Segment;
  return reportOf({
    mode: recoveryMode,
    created: false,
    cleanlyClosed: judgement.cleanlyClosed,
    segments: judgement.segments.length,
    records: judgement.records,
    firstLsn: (first as Segment).header.firstLsn,
    nextLsn: newest.nextLsn,
    cutBytes: judgement.tornBytes,
  });
}
