import { type Lsn, WalError } from '@walstack/codec';
import { type LogFiles, type Segment, sortFiles } from '@walstack/mmap-reader/segments';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Environment } from '../environment.js';
import type { Settings } from '../options.js';
import { checkNewestKey } from '../segments/keys.js';
import { isEmpty } from '../segments/segment.js';
import { analyzeLog, type LogAnalysis } from './analyze-log.js';
import { checkCore, type Opened, reportOn } from './recover.js';

/** So often a log is read anew, at most, that its writer changes while it is read. */
const MOST_ATTEMPTS = 100;

/** What a writer beside the reader can make of any log, for a moment. */
const PASSING = new Set(['WAL_CORRUPT', 'WAL_NOT_FOUND', 'WAL_BAD_HEADER', 'WAL_TRUNCATED']);

/**
 * Reads a log as it is at one moment, and changes nothing; another process may be writing to it.
 *
 * @param look - lists the files, and throws where there is no log
 */
export function* readLogOnly(
  world: Environment,
  settings: Settings,
  look: () => LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  const { files, judgement } = yield* judgeBeside(world, settings, look, blocking);
  const newest = judgement.segments.at(-1) as Segment;
  checkCore(newest, settings);
  const { logId, coreId, number } = newest.header;
  return {
    start: {
      logId,
      coreId,
      sealed: isEmpty(newest) && judgement.segments.length > 1 ? judgement.segments.slice(0, -1) : judgement.segments,
      active: undefined,
      nextLsn: newest.nextLsn,
      durableLsn: Math.max(judgement.provenLsn, newest.header.firstLsn - 1),
      nextNumber: number + 1,
      checkpoint: judgement.checkpoint,
      free: files.free,
    },
    report: reportOn(judgement, settings),
    noSpace: undefined,
  };
}

/**
 * Judges a log beside its writer. What was read a moment ago may be there by now, and a file that was missing is not part
 * of the log any more: something is lost only where it is lost when it is read again.
 */
function* judgeBeside(
  world: Environment,
  settings: Settings,
  look: () => LogFiles,
  blocking: boolean,
): IoRoutine<{ readonly files: LogFiles; readonly judgement: LogAnalysis }> {
  let before: WalError | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const files = look();
      const judgement = yield* analyzeLog(world.io, settings.directory, files);
      // Without any key the log can be verified, and what is in the clear be read.
      if (settings.keyRing !== undefined) yield* checkNewestKey(world.io, settings, judgement.segments, blocking);
      return { files, judgement };
    } catch (error) {
      if (!WalError.is(error) || !PASSING.has(error.code) || attempt === MOST_ATTEMPTS) throw error;
      if (before !== undefined && sameFinding(before, error)) throw error;
      before = error;
    }
  }
}

/** The first LSN of the segments that are there now, for reading them beside their writer. */
export function firstListedLsn(io: StorageIo, directory: string): Lsn {
  return sortFiles(io.list(directory)).segments[0]?.firstLsn ?? Number.MAX_SAFE_INTEGER;
}

const sameFinding = (a: WalError, b: WalError): boolean =>
  a.code === b.code && a.path === b.path && a.offset === b.offset && a.lsn === b.lsn && a.reason === b.reason;
