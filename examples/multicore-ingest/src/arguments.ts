import { statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';

export const HELP = `Ingests the lines of a file on several cores: split by key over worker threads, each with a log
of its own. The process kills itself with SIGKILL in mid-stream; then the logs of all cores are
recovered in one order and held against what was acknowledged, and it goes on.

  pnpm multicore                        the lines of pnpm-lock.yaml
  pnpm multicore access.log             the lines of any file; the first word is the key
  pnpm multicore - < access.log         the lines of standard input

  --cores N    how many cores, 1 to 64 (default: as many as there are, 2 at least)
  --kills N    how often it kills itself, 0 to 100 (default 3)
  --data DIR   where the logs go; those of an earlier run are removed
               (default data/multicore-ingest)
  --help       this text

WALSTACK_IO=io-uring, thread-pool or sync-fs chooses the backend.`;

/** The parsed command line. */
export interface Arguments {
  /** The file to read; `undefined` for standard input. */
  readonly file: string | undefined;
  readonly cores: number;
  readonly kills: number;
  readonly data: string;
}

/** An error of the command line, with a message for the user. */
export class UsageError extends Error {}

/** The directory of the user's shell, also when a package manager has changed the directory. */
const standing = process.env['INIT_CWD'] ?? '.';

/** A path to show to the user. */
export const forUser = (path: string): string => relative(standing, path) || '.';

/** Reads the command line; `undefined` when help was asked for. @throws {UsageError} */
export function readArguments(argv: readonly string[]): Arguments | undefined {
  const { values, positionals } = parse(argv);
  if (values.help === true) return undefined;
  if (positionals.length > 1) throw new UsageError(`give only one file, not ${positionals.join(', ')}`);
  return {
    file: positionals[0] === '-' ? undefined : checkFile(positionals[0]),
    cores: count('--cores', values.cores ?? String(Math.max(2, availableParallelism())), 1, 64),
    kills: count('--kills', values.kills ?? '3', 0, 100),
    data: values.data === undefined ? resolve('data/multicore-ingest') : resolve(standing, values.data),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        cores: { type: 'string' },
        kills: { type: 'string' },
        data: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function count(name: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new UsageError(`${name} must be a whole number from ${least} to ${most}, not "${text}"`);
}

function checkFile(given: string | undefined): string {
  const file = given === undefined ? resolve('pnpm-lock.yaml') : resolve(standing, given);
  let isFile: boolean;
  try {
    isFile = statSync(file).isFile();
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`);
  }
  if (!isFile) throw new UsageError(`${file} is not a file`);
  return file;
}
