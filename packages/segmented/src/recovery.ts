import { basename } from 'node:path';
import {
  blockEnd,
  frameStart,
  MARK_FRAME_BYTES,
  MarkType,
  parseSegmentFileName,
  type SegmentName,
  sealFrames,
  WalError,
  writeMark,
} from '@walstack/codec';
import { type LogFiles, type Segment, seedOf, withFile } from '@walstack/mmap-reader/segments';
import { type IoFile, type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { ActiveSegment } from './active-segment.js';
import { type Judgement, judge } from './judgement.js';
import { checkKeys, loadCurrentKey } from './keys.js';
import { syncAncestors } from './log-directory.js';
import { closingOnFailure, makeNamed, removeAll, removeDrafts, syncName } from './new-segment.js';
import type { Settings } from './options.js';
import { moveToQuarantine, quarantineOf, salvagedAbove } from './quarantine.js';
import { type RecoveryReport, reportOf } from './recovery-report.js';
import { BEGINNING, isEmpty, succession } from './segment.js';
import { cutToSize } from './segment-file.js';
import type { LogStart } from './segment-writer.js';
import type { World } from './world.js';

/** How a log starts after opening it. */
export interface Opened {
  readonly start: LogStart;
  readonly report: RecoveryReport;
  /** There is no room on the disk for the segment that the next record needs. */
  readonly noSpace: WalError | undefined;
}

/** Makes a new log of one empty segment; durable on return, its directory's name included. */
export function* createLog(world: World, settings: Settings, files: LogFiles, blocking: boolean): IoRoutine<Opened> {
  const { io } = world;
  yield* loadCurrentKey(settings.keyRing, blocking);
  const { directory, firstLsn, coreId } = settings;
  yield* syncAncestors(io, directory);
  yield* removeDrafts(world, settings, files);
  const logId = world.randomBytes(16);
  const active = yield* makeNamed(world, settings, { logId, coreId, number: 1, firstLsn, from: BEGINNING });
  yield* syncName(world, settings, active);
  return {
    start: { logId, coreId, sealed: [], active, nextLsn: firstLsn, nextNumber: 2, checkpoint: undefined, free: [] },
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
 * @param blocking - nobody can wait for a key service
 * @throws what {@link judge} and {@link checkKeys} throw, with nothing changed
 */
export function* recoverLog(world: World, settings: Settings, files: LogFiles, blocking: boolean): IoRoutine<Opened> {
  const judgement = yield* judge(world.io, settings.directory, files);
  const newest = judgement.segments.at(-1) as Segment;
  checkCore(newest, settings);
  yield* checkKeys(world.io, settings, judgement.segments, blocking);
  yield* loadCurrentKey(settings.keyRing, blocking);
  const settled = isEmpty(newest) ? newest : yield* settleTail(world, newest, judgement);
  const segments = [...judgement.segments.slice(0, -1), settled];
  const nextNumber = settled.header.number + 1;
  const next = judgement.cleanlyClosed ? NOTHING : yield* makeNext(world, settings, files, segments, nextNumber);
  const replaced = next.active !== undefined && isEmpty(settled) ? [settled.path] : [];
  yield* closingOnFailure(world, next.active, cleanUp(world, settings, files, judgement, replaced));
  return {
    start: {
      logId: settled.header.logId,
      coreId: settled.header.coreId,
      sealed: replaced.length === 0 ? segments : segments.slice(0, -1),
      active: next.active,
      nextLsn: settled.nextLsn,
      nextNumber: next.active === undefined ? nextNumber : nextNumber + 1,
      checkpoint: judgement.checkpoint,
      free: files.free,
    },
    report: reportOn(judgement, settings),
    noSpace: next.noSpace,
  };
}

/** @throws `WAL_BAD_HEADER` when the log belongs to another core than it is opened for */
export function checkCore({ header, path }: Segment, { coreId }: Settings): void {
  if (coreId === undefined || coreId === header.coreId) return;
  const owner = header.coreId === undefined ? 'no core' : `core ${header.coreId}`;
  throw new WalError('WAL_BAD_HEADER', `${path} belongs to ${owner}, not to core ${coreId}; nothing was changed`, {
    path,
    reason: 'other-core',
  });
}

/** Gets rid of what the log does without: only when the names are durable because of which it does. */
function* cleanUp(
  world: World,
  settings: Settings,
  files: LogFiles,
  { segments, leftovers }: Judgement,
  replaced: readonly string[],
): IoRoutine<void> {
  yield* ioSteps.syncDirectory(world.io, settings.directory);
  for (const { segment, paths } of hiddenBySalvage(segments, leftovers)) {
    yield* putAside(world, settings.directory, segment, paths);
  }
  yield* removeAll(world, [...leftovers.filter((path) => ownerOf(segments, path) === undefined), ...replaced]);
  yield* removeDrafts(world, settings, files);
}

/** The leftovers that lie under segments made by salvage. */
function hiddenBySalvage(
  segments: readonly Segment[],
  leftovers: readonly string[],
): readonly { readonly segment: Segment; readonly paths: readonly string[] }[] {
  return segments
    .filter(({ header }) => header.salvaged)
    .map((segment) => ({ segment, paths: leftovers.filter((path) => ownerOf(segments, path) === segment) }));
}

function ownerOf(segments: readonly Segment[], path: string): Segment | undefined {
  return salvagedAbove(segments, (parseSegmentFileName(basename(path)) as SegmentName).number);
}

/** Moves what salvage left behind where a crash interrupted it; on a full disk that is put off. */
function* putAside(world: World, directory: string, { header }: Segment, paths: readonly string[]): IoRoutine<void> {
  try {
    yield* moveToQuarantine(world, directory, quarantineOf(directory, header), paths);
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
  }
}

/** The steps on the newest segment's file: what is kept is written again, marked, and what is behind it cut off. */
function* settleTail(world: World, newest: Segment, judgement: Judgement): IoRoutine<Segment> {
  if (judgement.cleanlyClosed) return newest;
  return yield* withFile(world.io, newest.path, function* (file) {
    if (judgement.unprovenFrom !== undefined) yield* rewrite(world, file, judgement.unprovenFrom, newest.end);
    const end = judgement.endsWithMark ? newest.end : yield* markEnd(world, file, newest);
    yield* cutToSize(world.io, file, end, newest.header.blockBytes);
    return { ...newest, end };
  });
}

/**
 * Writes a range again with the same bytes, and syncs it: after a sync that failed, the page cache may show bytes that
 * the disk never got, and a second sync alone would write nothing.
 */
function* rewrite(world: World, file: IoFile, from: number, to: number): IoRoutine<void> {
  const piece = new Uint8Array(Math.min(256 * 1024, to - from));
  for (let position = from; position < to; ) {
    const bytes = piece.subarray(0, Math.min(piece.length, to - position));
    const length = yield* ioSteps.read(world.io, file, bytes, position);
    yield* ioSteps.write(world.io, file, bytes.subarray(0, length), position);
    position += length;
  }
  yield* ioSteps.datasync(world.io, file);
}

/**
 * Writes the mark of recovery behind what is kept, with zeros to the end of its block, and returns where it ends. On a
 * full disk it is left out.
 */
function* markEnd(world: World, file: IoFile, newest: Segment): IoRoutine<number> {
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
  world: World,
  settings: Settings,
  files: LogFiles,
  segments: readonly Segment[],
  number: number,
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
      from: succession(last),
    });
  } catch (error) {
    if (WalError.is(error, 'WAL_NO_SPACE')) return { active: undefined, noSpace: error };
    throw error;
  }
  yield* syncName(world, settings, active);
  return { active, noSpace: undefined };
}

/** The report on a log in which nothing acknowledged is lost. */
export function reportOn(judgement: Judgement, { recoveryMode }: Settings): RecoveryReport {
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
