import { WalError, type WalErrorCode } from '@walstack/codec';

/** What the program returns to the shell. A number never changes its meaning. */
export const ExitCode = {
  ok: 0,
  /** Something failed that has no number of its own. */
  failed: 1,
  /** Wrong arguments. */
  usage: 2,
  /** The log is damaged. */
  damaged: 3,
  /** There is no log. */
  noLog: 4,
  /** Another process has the log open for writing. */
  locked: 5,
  /** A key is missing or wrong. */
  badKey: 6,
  /** Ended by SIGINT, SIGTERM or SIGHUP, as shells count it. */
  interrupted: 130,
} as const;

const BY_CODE: Partial<Record<WalErrorCode, number>> = {
  WAL_CORRUPT: ExitCode.damaged,
  WAL_HOLE: ExitCode.damaged,
  WAL_BAD_HEADER: ExitCode.noLog,
  WAL_NOT_FOUND: ExitCode.noLog,
  WAL_FOREIGN_DIRECTORY: ExitCode.noLog,
  WAL_LOCKED: ExitCode.locked,
  WAL_BAD_KEY: ExitCode.badKey,
};

/** The exit code for an error. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError || error instanceof RangeError) return ExitCode.usage;
  if (!WalError.is(error)) return ExitCode.failed;
  // With a reason it is about the directory of a backup.
  if (error.code === 'WAL_FOREIGN_DIRECTORY' && error.reason !== undefined) return ExitCode.failed;
  return BY_CODE[error.code] ?? ExitCode.failed;
}

/** The exit code for several logs: damage counts more than anything else. */
export function worseExitCode(one: number, other: number): number {
  return one === ExitCode.damaged || other === ExitCode.damaged ? ExitCode.damaged : Math.max(one, other);
}

/** Arguments that do not fit the command, or the kind of log. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** For the help of every command. */
export const EXIT_CODE_HELP = `
Exit codes:
  0  done; the log is sound        4  there is no log
  1  failed                        5  another process has the log open for writing
  2  wrong arguments               6  a key is missing or wrong
  3  the log is damaged          130  interrupted`;
