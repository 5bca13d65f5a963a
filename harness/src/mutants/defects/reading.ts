import type { Defect } from '../defect.js';
import { READER } from './folders.js';

const READER_TEST = 'packages/mmap-reader/test/mmap-wal-reader.test.ts';
const TAIL_TEST = 'packages/segmented/test/log-tail.test.ts';
const CUTS_TEST = 'packages/segmented/test/log-tail-cuts.test.ts';
const FOLLOW_CUTS_TEST = 'packages/wal/test/follow-cuts.test.ts';
const FAILURES_TEST = 'packages/segmented/test/log-tail-failures.test.ts';

/** Defects in reading, most of all beside a writer. */
export const READING_DEFECTS: readonly Defect[] = [
  {
    name: 'filter-takes-more',
    scenario: 'readers-after-a-crash',
    breaks: 'A filter returns what it names, and nothing else.',
    file: 'packages/segmented/src/read/record-filter.ts',
    find: '(shard === undefined || found.vshardId === shard)',
    replace: '(shard === undefined || found.vshardId >= shard)',
  },
  {
    name: 'reuse-of-a-file-not-noticed',
    test: READER_TEST,
    breaks: 'A plain reader that meets a reused file reports that.',
    file: `${READER}/directory/segment-source.ts`,
    find: 'if (this.#isUnguarded && !this.#file.hasId(frames.header.segmentId))',
    replace: 'if (this.#isUnguarded && frames.header === undefined)',
  },
  {
    name: 'lsn-not-checked',
    breaks: 'A frame is valid only when its LSN is the expected one.',
    file: `${READER}/frames/frames.ts`,
    find: 'view.getInt32(at + 8, true) !== low ||',
    replace: '',
  },
  {
    name: 'batch-returned-in-part',
    test: TAIL_TEST,
    breaks: 'A reader beside a writer returns a batch whole.',
    file: `${READER}/directory/active-tail.ts`,
    find: 'return (this.#summary.openBatch?.nextLsn ?? this.#probe.frames.nextLsn) - 1;',
    replace: 'return this.#probe.frames.nextLsn - 1;',
  },
  {
    name: 'record-returned-before-proven-durable',
    test: TAIL_TEST,
    breaks: 'A follower with durableOnly gets only what is proven durable.',
    file: `${READER}/directory/tail-segments.ts`,
    find: 'this.#plan.durableOnly ? active.provenLsn : active.visibleLsn',
    replace: 'active.visibleLsn',
  },
  {
    name: 'cut-back-not-reported',
    test: TAIL_TEST,
    breaks: 'A follower reports when records that it has returned were cut off.',
    file: `${READER}/directory/cut-check.ts`,
    find: 'const seen = findCut(links, lastRead);',
    replace: 'const seen = findCut(links, { ...lastRead, lsn: 0 });',
  },
  {
    name: 'cut-before-a-resume-point-not-reported',
    test: CUTS_TEST,
    breaks: 'A follower reports when the record before its resume point is another one now.',
    file: `${READER}/directory/resume-point.ts`,
    find: 'return isSame ? undefined : 1;',
    replace: 'return isSame || own === undefined ? undefined : 1;',
  },
  {
    name: 'reset-ahead-not-reported',
    test: FOLLOW_CUTS_TEST,
    breaks: 'A follower reports when the log began anew, also where it continues behind all that was returned.',
    file: `${READER}/directory/resume-point.ts`,
    find: 'if (next.predecessor === undefined && known.number > 0) return 1;',
    replace: '',
  },
  {
    name: 'proof-outlives-a-cut',
    test: CUTS_TEST,
    breaks: 'What was proven durable behind a cut is not proven any more.',
    file: `${READER}/directory/tail-segments.ts`,
    find: 'const isSame = this.#newestId !== undefined && sameId(this.#newestId, segmentId);',
    replace: 'const isSame = this.#newestId === undefined || segmentId.length > 0;',
  },
  {
    name: 'damage-between-two-advances',
    test: FAILURES_TEST,
    breaks: 'What could be read before and cannot be read now is damage, and not waited for.',
    file: `${READER}/directory/tail-segments.ts`,
    find: 'if (this.mustRelocate) return false;',
    replace: 'if (this.#links.length > 0) return false;',
  },
  {
    name: 'error-outlives-its-event',
    test: FOLLOW_CUTS_TEST,
    breaks: 'An event that was cut off does not end a follower.',
    file: 'packages/wal/src/follow/follow.ts',
    find: '      this.#error = undefined;',
    replace: '',
  },
  {
    name: 'failure-does-not-wake-followers',
    test: 'packages/wal/test/follow.test.ts',
    breaks: 'A failure of the log wakes the followers that wait.',
    file: 'packages/wal/src/follow/log-activity.ts',
    find: 'activity.notify();\n    onFailure?.(failure);',
    replace: 'onFailure?.(failure);',
  },
  {
    name: 'planned-taken-for-cut',
    test: FOLLOW_CUTS_TEST,
    breaks: 'A record without a file yet does not count as cut off.',
    file: 'packages/wal/src/follow/follow.ts',
    find: 'const isAhead = isUnwritten?.() === true;',
    replace: 'const isAhead = isUnwritten === null;',
  },
  {
    name: 'failure-forgets-the-place',
    test: FAILURES_TEST,
    breaks: 'A follower continues where it was after a failure that passes.',
    file: `${READER}/directory/tail-segments.ts`,
    find: 'const from = walk.nextLsn === 0 ? this.#plan.from : walk.nextLsn;',
    replace: 'const { from } = this.#plan;',
  },
  {
    name: 'cut-while-replayed-not-reported',
    test: FAILURES_TEST,
    breaks: 'A replay beside a writer reports that the log was cut, and not that it is damaged.',
    file: `${READER}/directory/replayed-segments.ts`,
    find: 'return cutLsn === undefined ? error : cutWhileRead(cutLsn, lsn, firstLsn);',
    replace: 'return cutLsn === null ? cutWhileRead(0, lsn, firstLsn) : error;',
  },
  {
    name: 'roll-read-too-early',
    breaks: 'The records of a segment reach to the first LSN of the next one, or something acknowledged was lost.',
    file: `${READER}/directory/replayed-segments.ts`,
    find: 'if (!this.#isScannedAhead) throw yield* this.#unreadable(frames);',
    replace: 'if (!this.#isScannedAhead) return false;',
    test: 'packages/mmap-reader/test/replay-directory.test.ts',
  },
  {
    name: 'long-copies-share-memory',
    test: 'packages/mmap-reader/test/copies.test.ts',
    breaks: 'Copies of more than 2 KiB have memory of their own.',
    file: `${READER}/records/run-copies.ts`,
    find: 'return length - RECORD_HEADER_BYTES > SMALL_BYTES_MAX ? -1 : offset;',
    replace: 'return offset;',
  },
];
