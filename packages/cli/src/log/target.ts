import { readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { FileName, isCoreDirectoryName, isFreeFileName, parseSegmentFileName, WalError } from '@walstack/codec';
import { readFrames } from '@walstack/storage-io';
import { UsageError } from '../exit-codes.js';
import { coreIdOf, coreOfLog } from './core-of-log.js';

/** One log in a directory of segments. */
export interface LogTarget {
  readonly kind: 'log';
  readonly directory: string;
  /** The core that it belongs to, in a per-core log. */
  readonly coreId?: number;
}

/** A per-core log: a directory with the log of each core. */
export interface CoresTarget {
  readonly kind: 'cores';
  readonly directory: string;
  readonly cores: readonly LogTarget[];
}

/** A file of frames, as a `PortableWalWriter` writes it. */
export interface FramesTarget {
  readonly kind: 'frames';
  readonly path: string;
}

/** What a path leads to. */
export type Target = LogTarget | CoresTarget | FramesTarget;

/**
 * Finds out what a path leads to, and changes nothing.
 *
 * @throws `WAL_NOT_FOUND` where there is nothing, `WAL_BAD_HEADER` for a file that is none of a log
 */
export function targetAt(given: string): Target {
  const path = resolve(given);
  if (!statPath(path).isDirectory()) return fileTarget(path);
  let names: string[];
  try {
    names = readdirSync(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  const cores = names.filter(isCoreDirectoryName).sort();
  const hasSegments = names.some((name) => parseSegmentFileName(name) !== undefined);
  if (cores.length === 0 || hasSegments) return logTarget(path, coreOfLog(path, names));
  return { kind: 'cores', directory: path, cores: coresOf(path, cores) };
}

/**
 * The logs of cores. A directory without a segment is none: a crash leaves one where a core was added, and where it is that of a core
 * whose log was lost, the cores together show that.
 */
function coresOf(path: string, names: readonly string[]): readonly LogTarget[] {
  const cores = names.map((name) => logTarget(join(path, name), coreIdOf(name)));
  const begun = cores.filter(({ directory }) => mayHaveLog(directory));
  return begun.length === 0 ? cores : begun;
}

/** Also where that cannot be found out: then it is found when it is read. */
function mayHaveLog(directory: string): boolean {
  try {
    return readdirSync(directory).some((name) => parseSegmentFileName(name) !== undefined);
  } catch {
    return true;
  }
}

const logTarget = (directory: string, coreId: number | undefined): LogTarget =>
  coreId === undefined ? { kind: 'log', directory } : { kind: 'log', directory, coreId };

function statPath(path: string): ReturnType<typeof statSync> & object {
  try {
    return statSync(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new WalError('WAL_NOT_FOUND', `${path} does not exist`, { path }, { cause });
    }
    throw unreadable(path, cause);
  }
}

const unreadable = (path: string, cause: unknown): WalError =>
  new WalError('WAL_IO_FAILED', `${path} cannot be read: ${(cause as Error).message}`, { path }, { cause });

function fileTarget(path: string): Target {
  if (parseSegmentFileName(basename(path)) !== undefined) {
    throw new UsageError(`${path} is a segment of a log: use ${dirname(path)}, and inspect it with --segment`);
  }
  const owner = logWithFile(path);
  if (owner !== undefined) throw new UsageError(`${path} is a file of the log in ${owner}: use that`);
  if (isFramesFile(path)) return { kind: 'frames', path };
  throw new WalError(
    'WAL_BAD_HEADER',
    `${path} is no log: a log is a directory, or a file of frames, of which the first can be read`,
    { path },
  );
}

/** The directory of the log that a file is a part of; `undefined` for one that stands alone. */
function logWithFile(path: string): string | undefined {
  const directory = dirname(path);
  if (isLogDirectory(directory)) return directory;
  const above = dirname(directory);
  return PARTS.has(basename(directory)) && isLogDirectory(above) ? above : undefined;
}

/** The directories in a log. */
const PARTS: ReadonlySet<string> = new Set([FileName.followers, FileName.quarantine]);

/** Whether a directory has the files of a log, or the logs of cores. */
export function isLogDirectory(path: string): boolean {
  let names: readonly string[];
  try {
    names = readdirSync(path);
  } catch {
    return false;
  }
  return names.some(
    (name) => parseSegmentFileName(name) !== undefined || isFreeFileName(name) || isCoreDirectoryName(name),
  );
}

/** Whether the first frame of a file can be read, or it is empty. */
function isFramesFile(path: string): boolean {
  if (statSync(path).size === 0) return true;
  try {
    for (const _frame of readFrames(path, { copy: false })) return true;
  } catch (error) {
    if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
  }
  return false;
}

/** The logs of a target: one, or those of the cores. @throws `UsageError` for a file of frames */
export function logsOf(target: Target, command: string): readonly LogTarget[] {
  if (target.kind === 'frames') throw noFrames(target, command);
  return target.kind === 'log' ? [target] : target.cores;
}

/** The one log of a target: of a per-core log, that of the core `--core` names. */
export function logOf(target: Target, core: number | undefined, command: string): LogTarget {
  const logs = logsOf(target, command);
  checkCore(target, core);
  if (target.kind === 'log') return target;
  const found = logs.find(({ coreId }) => coreId === core);
  if (found !== undefined) return found;
  const ids = logs.map(({ coreId }) => coreId).join(', ');
  const directory = (target as CoresTarget).directory;
  throw new UsageError(`${directory} is a per-core log: ${command} needs --core with one of ${ids}`);
}

/** @throws `UsageError` where a core was chosen of what has none */
export function checkCore(target: Target, core: number | undefined): void {
  if (core === undefined || target.kind === 'cores') return;
  const path = target.kind === 'frames' ? target.path : target.directory;
  throw new UsageError(`${path} is no per-core log: --core has no meaning for it`);
}

const noFrames = ({ path }: FramesTarget, command: string): UsageError =>
  new UsageError(`${path} is a file of frames, which has no segments and LSNs: ${command} is for logs`);
