/**
 * What the other packages of this repository share, and users do not need: calls that a layer above a log makes by itself. It
 * may change in any version.
 *
 * @packageDocumentation
 */

export { type BackgroundCalls, backgroundCallsOf } from './write/calls/background-calls.js';
