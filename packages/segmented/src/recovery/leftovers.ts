import { basename, join } from 'node:path';
import { FileName, parseSegmentFileName, type SegmentName, WalError } from '@walstack/codec';
import type { LogFiles, Segment } from '@walstack/mmap-reader/internal';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { moveToQuarantine, quarantineOf, salvagedAbove } from '../salvage/quarantine.js';
import { removeDrafts } from '../segments/new-segment.js';
import { removeIfPossible } from '../segments/segment-file.js';
import type { LogAnalysis } from './analyze-log.js';

/** Removes leftovers and drafts: only after a sync of the directory has made the names durable that replace them. */
export function* cleanUp(
  environment: Environment,
  settings: Settings,
  files: LogFiles,
  analysis: LogAnalysis,
  replaced: readonly string[],
): IoRoutine<void> {
  const { leftovers } = analysis;
  const superseded = supersededFiles(analysis);
  yield* ioSteps.syncDirectory(environment.io, settings.directory);
  for (const [segment, paths] of superseded) yield* supersede(environment, settings, segment, paths);
  const kept = new Set([...superseded.values()].flat());
  yield* removeLeftovers(environment, [...leftovers.filter((path) => !kept.has(path)), ...replaced]);
  yield* removeDrafts(environment, settings, files);
  if (files.reserve && settings.reserveBytes === 0) {
    yield* removeLeftovers(environment, [join(settings.directory, FileName.reserve)]);
  }
}

/** Removes leftovers. A file that cannot be removed does not stop the opening: the next opening tries again. */
function* removeLeftovers(environment: Environment, paths: readonly string[]): IoRoutine<void> {
  for (const path of paths) yield* removeIfPossible(environment.io, path);
}

/**
 * The leftovers that belong to quarantine, by the segment whose quarantine directory takes them: segments that one created
 * by salvage supersedes, and all that are older than the last such segment, which may have been truncated by now.
 */
function supersededFiles({ segments, leftovers, checkpoint }: LogAnalysis): ReadonlyMap<Segment, readonly string[]> {
  const oldest = segments[0] as Segment;
  const superseded = new Map<Segment, string[]>();
  for (const path of leftovers) {
    const { number } = parseSegmentFileName(basename(path)) as SegmentName;
    const isOld = number < (checkpoint?.salvagedBelow ?? 0);
    const owner = salvagedAbove(segments, number) ?? (isOld ? oldest : undefined);
    if (owner === undefined) continue;
    const paths = superseded.get(owner);
    if (paths === undefined) superseded.set(owner, [path]);
    else paths.push(path);
  }
  return superseded;
}

/** Moves superseded files to quarantine that an interrupted salvage left behind; on a full disk this is deferred. */
function* supersede(
  environment: Environment,
  settings: Settings,
  { header }: Segment,
  paths: readonly string[],
): IoRoutine<void> {
  try {
    yield* moveToQuarantine(environment, settings, quarantineOf(environment.io, settings.directory, header), paths);
  } catch (error) {
    if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
  }
}
