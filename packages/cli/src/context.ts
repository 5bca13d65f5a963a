import type { Readable } from 'node:stream';
import { ExitCode } from './exit-codes.js';
import type { Output } from './output/output.js';
import type { OutputStream } from './output/output-stream.js';
import type { Paint } from './output/paint.js';

/** What the program reads and writes: the streams of a process, or others in a test. */
export interface Streams {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly stdin: Readable;
  /** Environment variables; `NO_COLOR` and `FORCE_COLOR` are used. Default: none. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** Ends the command: what was begun is given up, and files are closed. Default: nothing ends it. */
  readonly signal?: AbortSignal;
}

/** What a command gets besides its arguments. */
export interface Context {
  /** Standard output. */
  readonly out: Output;
  /** Standard error, where progress and remarks go. */
  readonly err: OutputStream;
  readonly stdin: Readable;
  /** Aborted by SIGINT, SIGTERM or SIGHUP, and when nothing reads standard output any more. */
  readonly signal: AbortSignal;
  readonly paint: Paint;
  /** The exit code when the command returns; 0 unless the command sets it. */
  exitCode: number;
}

/** Whether an abort, and not a failure, ended a command. */
const endedByReader = (context: Context): boolean => context.signal.aborted && context.out.isClosed;

export const interruptedCode = (context: Context): number =>
  endedByReader(context) ? ExitCode.ok : ExitCode.interrupted;
