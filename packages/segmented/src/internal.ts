/**
 * What the other packages of this repository share, and users do not need: the options of a log and of its
 * calls, and calls that a layer above a log makes by itself. It may change in any version.
 *
 * @packageDocumentation
 */

export { APPEND_OPTIONS } from './append/record-body.js';
export { checkClose } from './closing.js';
export { typedChannel } from './diagnostics.js';
export { readFollowerFile, readFollowers } from './followers/follower-files.js';
export { LOG_OPTION_NAMES, LOG_OPTIONS } from './options.js';
export type { QuarantineReader } from './quarantine/quarantine-reader.js';
export { checkPosition, readerOfQuarantine } from './quarantine/replay-quarantine.js';
export { READ_OPTIONS } from './read/log-reader.js';
export { type BackgroundCalls, backgroundCallsOf } from './write/calls/background-calls.js';
export type { LogEnd } from './write/watermarks.js';
