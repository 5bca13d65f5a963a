import { join } from 'node:path';
import { blockEnd, FileName, type Lsn, WalError } from '@walstack/codec';
import { ALWAYS_ENCRYPTED, corruption, type Link, type LogFiles, type Segment } from '@walstack/mmap-reader/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { closeFile, syncAncestors } from '@walstack/storage-io/internal';
import { type Environment, newId } from '../environment.js';
import type { Settings } from '../options.js';
import { ActiveSegment } from '../segments/active-segment.js';
import { checkKeys, loadCurrentKey, statementOf } from '../segments/keys.js';
import { writeCheckpoint } from '../segments/log-directory.js';
import { closingOnFailure, makeNamed, removeDrafts, syncName } from '../segments/new-segment.js';
import { BEGINNING, isEmpty, linkBehind } from '../segments/segment.js';
import { isFailureOfFile, openForWriting, removeIfPossible, removeNames } from '../segments/segment-file.js';
import type { LogStart } from '../write/log-start.js';
import { analyzeLog, type LogAnalysis } from './analyze-log.js';
import { cleanUp } from './leftovers.js';
import type { OpeningEnvironment } from './opening-watch.js';
import { type RecoveryReport, reportOf } from './recovery-report.js';
import { repairTail } from './repair-tail.js';

/** The state of a log after it was opened. */
export interface Opened {
  readonly start: LogStart;
  readonly report: RecoveryReport;
  /** The error when the disk is full, and the segment for the next record could not be created. */
  readonly noSpace: WalError | undefined;
}

/** Creates a new log of one empty segment; durable on return, the names of its directories included. */
export function* createLog(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  const { io } = environment;
  yield* loadCurrentKey(settings.keyRing, blocking);
  yield* environment.watch.end();
  const { directory, firstLsn, coreId } = settings;
  yield* syncAncestors(io, directory);
  yield* removeDrafts(environment, settings, files);
  const logId = newId(environment);
  const active = yield* makeNamed(environment, settings, {
    logId,
    coreId,
    number: 1,
    firstLsn,
    encryptedFrom: ALWAYS_ENCRYPTED,
    from: BEGINNING,
  });
  yield* syncName(environment, settings, active);
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
      holes: [],
    }),
    noSpace: undefined,
  };
}

/**
 * Recovers a log: decides by reading only what is kept, then makes that durable, cuts off the torn tail and continues in a
 * new segment. The new segment supersedes the tail of the old one, where writes of a killed process may still land. Each
 * step can be repeated after a crash. A log that was closed cleanly is not changed, and goes on in the same segment.
 *
 * @param files - of the directory; at least one segment
 * @param blocking - whether the call blocks, so that it cannot await a key service
 * @throws what {@link analyzeLog} and {@link checkKeys} throw, with nothing changed
 */
export function* recoverLog(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  const { analysis, repaired, encryptedFrom } = yield* analyzeAndRepair(environment, settings, files, blocking);
  const segments = [...analysis.segments.slice(0, -1), repaired];
  const { checkpoint } = analysis;
  const nextNumber = repaired.header.number + 1;
  const making = { number: nextNumber, encryptedFrom };
  const deferred = yield* rewriteCheckpoint(environment, settings, files, analysis);
  const next =
    deferred !== undefined
      ? { active: undefined, noSpace: deferred }
      : analysis.cleanlyClosed
        ? goOnIn(environment, settings, repaired)
        : yield* makeNext(environment, settings, files, segments, making);
  const goesOn = next.active?.continuation !== undefined;
  const replaced = next.active !== undefined && isEmpty(repaired) ? [repaired.path] : [];
  if (deferred === undefined) {
    yield* closingOnFailure(environment, next.active, cleanUp(environment, settings, files, analysis, replaced));
  }
  return {
    start: {
      logId: repaired.header.logId,
      coreId: repaired.header.coreId,
      sealed: goesOn || replaced.length > 0 ? segments.slice(0, -1) : segments,
      active: next.active,
      nextLsn: repaired.nextLsn,
      nextNumber: next.active === undefined || goesOn ? nextNumber : nextNumber + 1,
      checkpoint,
      checkpointIsDurable: checkpoint === undefined || (deferred === undefined && mustRewriteCheckpoint(analysis)),
      free: files.free,
      reservedBytes: files.reserve ? reservedBytes(environment.io, settings) : 0,
      encryptedFrom,
    },
    report: reportOn(analysis, settings),
    noSpace: next.noSpace,
  };
}

/** Size of the reserve; 0 when there is none any more. */
function reservedBytes(io: StorageIo, { directory }: Settings): number {
  try {
    const { kind, size } = io.stat(join(directory, FileName.reserve));
    return kind === 'file' ? size : 0;
  } catch (error) {
    if (isFailureOfFile(error)) return 0;
    throw error;
  }
}

/** Analyzes the log and repairs its tail; repeats both if the kept part has become shorter since it was read. */
function* analyzeAndRepair(
  environment: OpeningEnvironment,
  settings: Settings,
  files: LogFiles,
  blocking: boolean,
): IoRoutine<{ readonly analysis: LogAnalysis; readonly repaired: Segment; readonly encryptedFrom: Lsn | undefined }> {
  for (let keptBefore = Number.POSITIVE_INFINITY; ; ) {
    const analysis = yield* analyzeLog(environment.io, settings.directory, files, environment.watch);
    const newest = analysis.segments.at(-1) as Segment;
    checkCore(newest, settings);
    const encryptedFrom = yield* checkKeys(environment.io, settings, analysis.segments, blocking);
    yield* loadCurrentKey(settings.keyRing, blocking);
    yield* environment.watch.end();
    yield* disownBackup(environment.io, settings, files);
    const repaired = isEmpty(newest)
      ? newest
      : yield* repairTailWithRoom(environment, settings, files, newest, analysis);
    if (repaired !== undefined) return { analysis, repaired, encryptedFrom };
    if (newest.nextLsn >= keptBefore) throw unsteady(newest);
    keptBefore = newest.nextLsn;
  }
}

/**
 * A backup that is opened for writing is a log of its own from now on, and no backup is brought up to date by replacing it.
 * Durable with the next sync of the directory, which comes before the first record ({@link cleanUp}, or a new segment).
 */
function* disownBackup(io: StorageIo, { directory }: Settings, { isBackup }: LogFiles): IoRoutine<void> {
  if (!isBackup) return;
  yield* removeNames(io, directory, [FileName.backup]);
}

/**
 * {@link repairTail}; on a full disk it removes the drafts and the reserve and tries again, as a file system may need space for
 * writing in place, and a preallocated file may have taken it.
 */
function* repairTailWithRoom(
  environment: Environment,
  settings: Settings,
  files: LogFiles,
  newest: Segment,
  analysis: LogAnalysis,
): IoRoutine<Segment | undefined> {
  try {
    return yield* repairTail(environment, newest, analysis);
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE') || (files.drafts.length === 0 && !files.reserve)) throw error;
  }
  yield* makeRoom(environment, settings, files);
  return yield* repairTail(environment, newest, analysis);
}

/** Removes what only takes room: the drafts, and the reserve, which the log makes again when there is room. */
function* makeRoom(environment: Environment, settings: Settings, files: LogFiles): IoRoutine<void> {
  yield* ioSteps.syncDirectory(environment.io, settings.directory);
  yield* removeDrafts(environment, settings, files);
  if (files.reserve) yield* removeIfPossible(environment.io, join(settings.directory, FileName.reserve));
}

/** The error for a segment of which less can be read each time. */
export function unsteady({ path, end, nextLsn }: Segment): WalError {
  const what = 'repeated reads return different data';
  return corruption(path, 'unsteady', what, { offset: end, lsn: nextLsn });
}

/** @throws `WAL_BAD_HEADER` when the log belongs to another core than the one it is opened for */
export function checkCore({ header, path }: Link, { coreId }: Settings): void {
  if (coreId === undefined || coreId === header.coreId) return;
  const owner = header.coreId === undefined ? 'no core' : `core ${header.coreId}`;
  throw new WalError('WAL_BAD_HEADER', `${path} belongs to ${owner}, not to core ${coreId}; nothing was changed`, {
    path,
    reason: 'other-core',
  });
}

/**
 * Whether the checkpoint has to be written again before the log continues. The mark of a clean close does not prove that
 * the checkpoint is durable: it may have been replaced by a later process, which wrote no record and failed. If no file is
 * to be removed because of the checkpoint, writing it is deferred until something depends on it: at once where it announces a
 * truncation that is not done, as a new follower takes that for done.
 */
const mustRewriteCheckpoint = ({ cleanlyClosed, leftovers, isStale }: LogAnalysis): boolean =>
  !cleanlyClosed || leftovers.length > 0 || isStale;

/**
 * Writes the checkpoint of a log again: the sync after its rename may have failed. Then a power failure could restore an
 * earlier checkpoint after the files that the later one does not need were removed. Durable with the next sync of the
 * directory.
 *
 * @returns the error when the disk is full and this had to be deferred
 */
function* rewriteCheckpoint(
  environment: Environment,
  settings: Settings,
  files: LogFiles,
  analysis: LogAnalysis,
): IoRoutine<WalError | undefined> {
  const { checkpoint } = analysis;
  if (checkpoint === undefined || !mustRewriteCheckpoint(analysis)) return undefined;
  const { io } = environment;
  try {
    yield* writeCheckpoint(io, settings, checkpoint);
    return undefined;
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
  }
  // A preallocated file may have taken the space.
  yield* makeRoom(environment, settings, files);
  try {
    yield* writeCheckpoint(io, settings, checkpoint);
    return undefined;
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return error;
    throw error;
  }
}

interface Next {
  readonly active: ActiveSegment | undefined;
  readonly noSpace: WalError | undefined;
}

const NOTHING: Next = { active: undefined, noSpace: undefined };

/**
 * The segment that was closed cleanly, for the next append to go on in behind its mark; nothing is written. Otherwise the next
 * append makes a new one:
 *
 * - where the segment is encrypted, or the next one would be. The nonce is the LSN: a copy of the log that was restored, and went
 *   on in the same segment as the original, would use the same key and nonces;
 * - where the file is longer than what was written to it: its cut may still be carried out for a killed process;
 * - where the file has another name, as in a backup of hard links.
 */
function goOnIn({ io }: Environment, settings: Settings, newest: Segment): Next {
  const { header, end } = newest;
  const { blockBytes, segmentBytes, keyRing, directory } = settings;
  if (isEmpty(newest) || header.encrypted || keyRing !== undefined || header.blockBytes !== blockBytes) return NOTHING;
  const closedEnd = blockEnd(end, blockBytes);
  // Room for the block of a mark, and one of records.
  if (closedEnd + 2 * blockBytes > segmentBytes) return NOTHING;
  const file = openIfPossible(io, settings, newest.path);
  if (file === undefined) return NOTHING;
  try {
    if (io.size(file) === closedEnd && io.links?.(file) === 1) {
      const active = new ActiveSegment(directory, header, undefined, file, newest);
      return { active, noSpace: undefined };
    }
  } catch (error) {
    closeFile(io, file);
    throw error;
  }
  closeFile(io, file);
  return NOTHING;
}

/** Opens a segment file for writing; `undefined` where that is not allowed, or not possible for single blocks. */
function openIfPossible(io: StorageIo, settings: Settings, path: string): IoFile | undefined {
  try {
    return openForWriting(io, settings, path);
  } catch (error) {
    if (isFailureOfFile(error)) return undefined;
    throw error;
  }
}

/** Creates the segment in which the log continues; on a full disk this is deferred. */
function* makeNext(
  environment: Environment,
  settings: Settings,
  files: LogFiles,
  segments: readonly Segment[],
  { number, encryptedFrom }: { readonly number: number; readonly encryptedFrom: Lsn | undefined },
): IoRoutine<Next> {
  const last = segments.at(-1) as Segment;
  yield* ioSteps.syncDirectory(environment.io, settings.directory);
  yield* removeDrafts(environment, settings, files);
  const { logId, coreId } = last.header;
  let active: ActiveSegment;
  try {
    active = yield* makeNamed(environment, settings, {
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
  yield* syncName(environment, settings, active);
  return { active, noSpace: undefined };
}

/** The report on a log of which nothing acknowledged is lost. */
export function reportOn(analysis: LogAnalysis, { recoveryMode }: Settings): RecoveryReport {
  const [first] = analysis.segments;
  const newest = analysis.segments.at(-1) as Segment;
  return reportOf({
    mode: recoveryMode,
    created: false,
    cleanlyClosed: analysis.cleanlyClosed,
    segments: analysis.segments.length,
    records: analysis.records,
    firstLsn: (first as Segment).header.firstLsn,
    nextLsn: newest.nextLsn,
    cutBytes: analysis.tornBytes,
    holes: Object.freeze(analysis.holes.map((hole) => Object.freeze(hole))),
  });
}
