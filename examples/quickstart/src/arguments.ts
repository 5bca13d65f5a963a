import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_DATA, fromUser } from './places.js';

export const HELP = `Commits every line of a file to a write-ahead log in a child process, kills the child with
SIGKILL in mid-stream several times, recovers the log after each kill, and checks that
nothing that was acknowledged is lost.

  npm start                      the lines of pnpm-lock.yaml
  npm start -- access.log        the lines of any file
  npm start -- - < access.log    the lines of standard input

  --kills N    how often to kill the child, 0 to 1000 (default 5)
  --data DIR   where the log goes; an earlier quickstart's log there is removed
               (default data/quickstart)
  --help       this text

WALSTACK_IO=io-uring, thread-pool or sync-fs chooses the backend.`;

/** The parsed command line. */
export interface Arguments {
  /** The file to read; `undefined` for standard input. */
  readonly file: string | undefined;
  readonly kills: number;
  readonly data: string;
}

/** An error of the command line, with a message for the user. */
export class UsageError extends Error {}

/** Reads the command line; `undefined` when help was asked for. @throws {UsageError} */
export function readArguments(argv: readonly string[], defaultFile: string): Arguments | undefined {
  const { values, positionals } = parse(argv);
  if (values.help === true) return undefined;
  if (positionals.length > 1) throw new UsageError(`give only one file, not ${positionals.join(', ')}`);
  const kills = Number(values.kills ?? 5);
  if (!/^\d+$/.test(values.kills ?? '5') || kills > 1000) {
    throw new UsageError(`--kills must be a whole number from 0 to 1000, not "${values.kills}"`);
  }
  const data = values.data === undefined ? resolve(DEFAULT_DATA) : fromUser(values.data);
  return { file: positionals[0] === '-' ? undefined : checkFile(positionals[0], defaultFile), kills, data };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: { kills: { type: 'string' }, data: { type: 'string' }, help: { type: 'boolean', short: 'h' } },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function checkFile(given: string | undefined, defaultFile: string): string {
  const file = given === undefined ? resolve(defaultFile) : fromUser(given);
  let isFile: boolean;
  try {
    isFile = statSync(file).isFile();
  } catch (error) {
    throw new UsageError(`cannot read ${file}: ${(error as Error).message}`);
  }
  if (!isFile) throw new UsageError(`${file} is not a file`);
  return file;
}
