import type { Defect } from '../defect.js';
import { READER, SEGMENTED } from './folders.js';

const SCENARIO = 'goes-on-behind-close';
const TEST = 'packages/segmented/test/goes-on-behind-close.test.ts';

/** Defects in going on behind a clean close. */
export const GOES_ON_DEFECTS: readonly Defect[] = [
  {
    name: 'goes-on-without-a-mark',
    scenario: SCENARIO,
    breaks: 'A log that was closed goes on behind a durable mark: after a kill it does not look closed.',
    file: `${SEGMENTED}/write/group-writer.ts`,
    find: '    yield* this.#goOn(segment);\n',
    replace: '',
  },
  {
    name: 'opened-mark-not-waited-for',
    scenario: SCENARIO,
    breaks: 'The mark that a log goes on is durable before anything else is written to the segment.',
    file: `${SEGMENTED}/write/group-writer.ts`,
    find: '    yield* this.#goOn(segment);\n',
    replace: '    this.#pipeline.start(this.#goOn(segment), () => {});\n',
  },
  {
    name: 'opened-mark-in-the-block-of-records',
    scenario: SCENARIO,
    breaks: 'The mark that a log goes on has a block of its own: it may land again at any later time.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'const from = isClosed ? behind + blockBytes : behind;',
    replace: 'const from = behind;',
  },
  {
    name: 'opened-mark-of-its-own',
    test: TEST,
    breaks: 'The mark that a log goes on has the same bytes whichever process writes it.',
    file: `${SEGMENTED}/write/opened-mark.ts`,
    find: 'MarkType.opened, 0);',
    replace: 'MarkType.opened, segment.continuation?.sessionId?.[0] ?? 0);',
  },
  {
    name: 'closed-mark-not-written-again',
    test: TEST,
    breaks: 'The mark of the clean close is written again: it may never have reached the disk.',
    file: `${SEGMENTED}/write/opened-mark.ts`,
    find: '  if (io.capabilities.durableWrites) {\n    yield* ioSteps.write(io, file, bytes, from, { durable: true });',
    replace:
      '  if (io.capabilities.durableWrites) {\n    yield* ioSteps.write(io, file, bytes.subarray(end - from), end, { durable: true });',
    also: {
      file: `${SEGMENTED}/write/opened-mark.ts`,
      find: '    yield* ioSteps.write(io, file, bytes, from);',
      replace: '    yield* ioSteps.write(io, file, bytes.subarray(end - from), end);',
    },
  },
  {
    name: 'encrypted-log-goes-on',
    test: TEST,
    breaks: 'An encrypted log does not go on in the same segment: a restored copy would use its nonces again.',
    file: `${SEGMENTED}/recovery/recover.ts`,
    find: 'if (isEmpty(newest) || header.encrypted || keyRing !== undefined || header.blockBytes !== blockBytes) return NOTHING;',
    replace: 'if (isEmpty(newest) || header.blockBytes !== blockBytes) return NOTHING;',
    also: {
      file: `${SEGMENTED}/recovery/recover.ts`,
      find: 'new ActiveSegment(directory, header, undefined, file, newest)',
      replace: 'new ActiveSegment(directory, header, keyRing, file, newest)',
    },
  },
  {
    name: 'goes-on-in-the-clear',
    test: TEST,
    breaks: 'A ring that is set before the first append encrypts it: the log does not go on in a plaintext segment.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: 'if (continuation === undefined || !this.#isCurrent(active)) return undefined;',
    replace: 'if (continuation === undefined) return undefined;',
  },
  {
    name: 'goes-on-where-a-cut-may-follow',
    test: TEST,
    breaks: 'A log goes on only where its file was cut behind the mark: the cut of a killed process may follow.',
    file: `${SEGMENTED}/recovery/recover.ts`,
    find: 'io.size(file) === closedEnd && io.links?.(file) === 1',
    replace: 'io.links?.(file) === 1',
  },
  {
    name: 'goes-on-in-a-backup',
    test: TEST,
    breaks: 'A log does not go on in a file with a second name.',
    file: `${SEGMENTED}/recovery/recover.ts`,
    find: 'io.size(file) === closedEnd && io.links?.(file) === 1',
    replace: 'io.size(file) === closedEnd',
  },
  {
    name: 'older-file-reused',
    test: TEST,
    breaks: 'The file of a segment that an earlier opening has written to is not reused.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: 'start.active?.continuation === undefined ? (start.active?.header.number ?? start.nextNumber) : start.nextNumber,',
    replace: 'start.active?.header.number ?? start.nextNumber,',
  },
  {
    name: 'closed-twice',
    test: TEST,
    breaks: 'An opening that appends nothing writes nothing.',
    file: `${SEGMENTED}/write/mark-writer.ts`,
    find: '    if (chain.active?.isClosed === true) return undefined;\n',
    replace: '',
  },
  {
    name: 'no-session',
    test: TEST,
    breaks: 'What an opening appends to a segment of an earlier one is a session of its own.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'const markBytes = isClosed ? MARK_FRAME_BYTES : 0;',
    replace: 'const markBytes = 0;',
    also: {
      file: `${SEGMENTED}/append/arena.ts`,
      find: '    if (isClosed) this.#beginSession(this.#open);\n',
      replace: '',
    },
  },
  {
    name: 'sessions-not-compared',
    test: TEST,
    breaks: 'A reader that continues compares the session of the record before its resume point.',
    file: `${READER}/directory/tail-segments.ts`,
    find: '(resumed.session !== SEGMENT_END && sessions.of(resumed.lsn) === resumed.session)',
    replace: 'sessions.of(resumed.lsn) !== undefined',
  },
];
