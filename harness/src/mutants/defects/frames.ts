import type { Defect } from '../defect.js';
import { CODEC, SEGMENTED, STORAGE_IO } from './folders.js';

/** Defects in the bytes of frames. */
export const FRAMES_DEFECTS: readonly Defect[] = [
  {
    name: 'frame-in-block-tail',
    scenario: 'frames-at-block-ends',
    breaks: 'No frame starts in the last 7 bytes of a block.',
    file: `${CODEC}/frames-in-blocks.ts`,
    find: 'return left < FRAME_HEADER_BYTES ? position + left : position;',
    replace: 'return left < 0 ? position + left : position;',
  },
  {
    name: 'checksum-not-bound-to-segment',
    breaks: 'The checksum of a frame begins with the id of its segment.',
    file: `${CODEC}/segment-header.ts`,
    find: "return continueCrc32c(checkBytes('segmentId', segmentId, ID_BYTES), 0, ID_BYTES, 0);",
    replace: 'return continueCrc32c(new Uint8Array(segmentId.length), 0, ID_BYTES, 0);',
  },
  {
    name: 'padding-that-begins-a-block',
    test: 'packages/storage-io/test/portable-padding.test.ts',
    breaks: 'Padding ends a block and begins none: a file of frames ends before a block that begins with its mark.',
    file: `${STORAGE_IO}/portable/file-scanner.ts`,
    find: 'if (at === stop) return;',
    replace: 'if (at === stop) at = Math.min(at + blockBytes, this.#filled);',
  },
  {
    name: 'memory-not-checked',
    test: 'packages/segmented/test/moved-memory.test.ts',
    breaks: 'Bytes whose memory was detached are refused, and not appended as an empty payload.',
    file: `${CODEC}/arguments/checks.ts`,
    find: '  if (length === 0) requireAttached(name, value);',
    replace: '  if (length < 0) requireAttached(name, value);',
  },
  {
    name: 'length-not-checked-again',
    test: 'packages/segmented/test/moved-memory.test.ts',
    breaks: 'What is encoded has the length for which room was made.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: 'if (lengthOf(payload) !== payloadBytes || lengthOf(meta) !== metaBytes) throw changed();',
    replace: 'if (lengthOf(payload) < 0 && lengthOf(meta) === payloadBytes + metaBytes) throw changed();',
  },
];
