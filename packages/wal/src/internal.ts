/**
 * What the other packages of this repository share, and users do not need: following a log as it is stored, and a heap. It may change in any
 * version.
 *
 * @packageDocumentation
 */

export { BinaryHeap } from './commit/binary-heap.js';
export { followDirectoryStored } from './follow/follow-directory.js';
export { followStored, type StoredFollowOptions } from './follow/stored.js';
