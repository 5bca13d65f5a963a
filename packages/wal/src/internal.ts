/**
 * What the other packages of this repository share, and users do not need: following a log as it is stored. It may change in any
 * version.
 *
 * @packageDocumentation
 */

export { followDirectoryStored } from './follow/follow-directory.js';
export { followStored, type StoredFollowOptions } from './follow/stored.js';
