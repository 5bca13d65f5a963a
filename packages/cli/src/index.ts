/**
 * The command line of walstack as a function: `run` parses arguments, runs a command on the streams that it gets, and returns
 * the exit code. Further commands can be added to it.
 *
 * @packageDocumentation
 */

export type { Context, Streams } from './context.js';
export { ExitCode, UsageError } from './exit-codes.js';
export type { Output } from './output/output.js';
export type { OutputStream } from './output/output-stream.js';
export type { Paint } from './output/paint.js';
export type { RegisterCommand } from './registry.js';
export { run } from './run.js';
