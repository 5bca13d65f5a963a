import { type Lsn, WalError } from '@walstack/codec';
import { type LogFiles, type Segment, sortFiles } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Settings } from '../options.js';
import { checkNewestKey } from '../segments/keys.js';
import { isEmpty } from '../segments/segment.js';
import { analyzeLog, type LogAnalysis } from './analyze-log.js';
import type { OpeningEnvironment } from './opening-watch.js';
import { checkCore, type Opened, reportOn } from './recover.js';

/** How often a log is read again, at most, when its writer changes it meanwhile. */
const ATTEMPTS_MAX = 100;

const NO_LOG = ['WAL_NOT_FOUND', 'WAL_FOREIGN_DIRECTORY'];

/** The errors that a concurrent writer can cause for a moment in an intact log. */
const TRANSIENT_CODES = new Set([...NO_LOG, 'WAL_CORRUPT', 'WAL_BAD_HEADER', 'WAL_TRUNCATED']);

/**
 * Reads a log as it is at one moment, and changes nothing; another process may be writing it.
 *
 * @param listLog - lists the files, and throws when there is no log
 */
export function* readLogOnly(
  environment: OpeningEnvironment,
  settings: Settings,
  listLog: () => LogFiles,
  blocking: boolean,
): IoRoutine<Opened> {
  const { files, analysis } = yield* analyzeBesideWriter(environment, settings, listLog, blocking);
  const newest = analysis.segments.at(-1) as Segment;
  checkCore(newest, settings);
  yield* environment.watch.end();
  const { logId, coreId, number } = newest.header;
  return {
    start: {
      logId,
      coreId,
      sealed: isEmpty(newest) && analysis.segments.length > 1 ? analysis.segments.slice(0, -1) : analysis.segments,
      active: undefined,
      nextLsn: newest.nextLsn,
      durableLsn: Math.max(analysis.provenLsn, newest.header.firstLsn - 1),
      nextNumber: number + 1,
      checkpoint: analysis.checkpoint,
      free: files.free,
    },
    report: reportOn(analysis, settings),
    noSpace: undefined,
  };
}

/**
 * Analyzes a log while another process may be writing it. A record that could not be read may be written by now, and a
 * missing file may have been removed from the log: only damage that is found twice at the same place is real.
 */
function* analyzeBesideWriter(
  environment: OpeningEnvironment,
  settings: Settings,
  listLog: () => LogFiles,
  blocking: boolean,
): IoRoutine<{ readonly files: LogFiles; readonly analysis: LogAnalysis }> {
  let before: WalError | undefined;
  for (let attempt = 1; ; attempt++) {
    try {
      const files = listLog();
      const analysis = yield* analyzeLog(environment.io, settings.directory, files, environment.watch);
      // Without a ring the log can still be verified, and its plaintext records read.
      if (settings.keyRing !== undefined) yield* checkNewestKey(environment.io, settings, analysis.segments, blocking);
      return { files, analysis };
    } catch (error) {
      if (!WalError.is(error) || !TRANSIENT_CODES.has(error.code) || attempt === ATTEMPTS_MAX) throw error;
      if (before !== undefined && sameFinding(before, error)) throw error;
      before = error;
    }
  }
}

/** The first LSN of the segments that exist now: for reading while another process writes the log. */
export function firstListedLsn(io: StorageIo, directory: string): Lsn {
  return sortFiles(io.list(directory)).segments[0]?.firstLsn ?? Number.MAX_SAFE_INTEGER;
}

const sameFinding = (a: WalError, b: WalError): boolean =>
  a.code === b.code && a.path === b.path && a.offset === b.offset && a.lsn === b.lsn && a.reason === b.reason;
