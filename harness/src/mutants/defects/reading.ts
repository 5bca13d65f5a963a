import type { Defect } from '../defect.js';

const READER = 'packages/mmap-reader/src';
const READER_TEST = 'packages/mmap-reader/test/mmap-wal-reader.test.ts';
const TAIL_TEST = 'packages/segmented/test/log-tail.test.ts';
const CUTS_TEST = 'packages/segmented/test/log-tail-cuts.test.ts';
const FAILURES_TEST = 'packages/segmented/test/log-tail-failures.test.ts';

/** Defects in reading, most of all beside a writer. */
export const READING_DEFECTS: readonly Defect[] = [
  {
    name: 'new-life-unnoticed',
    test: READER_TEST,
    breaks: 'A plain reader that meets a file which is used again says so.',
    file: `${READER}/segment-source.ts`,
    find: 'if (this.#isUnguarded && !this.#file.hasId(frames.header.segmentId))',
    replace: 'if (this.#isUnguarded && frames.header === undefined)',
  },
  {
    name: 'lsn-not-looked-at',
    breaks: 'A frame is valid only when its LSN is the expected one.',
    file: `${READER}/frames.ts`,
    find: 'view.getInt32(at + 8, true) !== low ||',
    replace: '',
  },
  {
    name: 'batch-given-out-in-part',
    test: TAIL_TEST,
    breaks: 'A reader beside a writer gives out a batch whole.',
    file: `${READER}/active-tail.ts`,
    find: 'return (this.#summary.openBatch?.nextLsn ?? this.#probe.frames.nextLsn) - 1;',
    replace: 'return this.#probe.frames.nextLsn - 1;',
  },
  {
    name: 'undurable-given-out',
    test: TAIL_TEST,
    breaks: 'A follower that wants durable records only gets what is proven durable.',
    file: `${READER}/log-tail.ts`,
    find: 'this.#durableOnly ? active.provenLsn : active.visibleLsn',
    replace: 'active.visibleLsn',
  },
  {
    name: 'cut-back-unsaid',
    test: TAIL_TEST,
    breaks: 'A follower says when what it gave out was taken back.',
    file: `${READER}/log-tail.ts`,
    find: 'const lsn = told ?? cutOf(links, has);',
    replace: 'const lsn = told ?? cutOf(links, { ...has, lsn: 0 });',
  },
  {
    name: 'cut-before-a-resume-point-unsaid',
    test: CUTS_TEST,
    breaks: 'A follower says when the record before its resume point is another one now.',
    file: `${READER}/resume-point.ts`,
    find: 'return isSame ? undefined : 1;',
    replace: 'return isSame || own === undefined ? undefined : 1;',
  },
  {
    name: 'failure-forgets-the-place',
    test: FAILURES_TEST,
    breaks: 'A follower goes on where it was after a failure that passes.',
    file: `${READER}/log-tail.ts`,
    find: 'const from = this.#nextLsn === 0 ? this.#from : this.#nextLsn;',
    replace: 'const from = this.#from;',
  },
  {
    name: 'cut-while-replayed-unsaid',
    test: FAILURES_TEST,
    breaks: 'A replay beside a writer says that the log was cut, and not that it is damaged.',
    file: `${READER}/directory-reader.ts`,
    find: 'return cutLsn === undefined ? error : cutWhileRead(cutLsn, lsn, firstLsn);',
    replace: 'return cutLsn === null ? cutWhileRead(0, lsn, firstLsn) : error;',
  },
  {
    name: 'roll-read-too-early',
    breaks: 'The records of a segment reach to the first LSN of the next one, or something acknowledged was lost.',
    file: `${READER}/directory-reader.ts`,
    find: 'if (!this.#isHelped) throw yield* this.#unreadable(frames);',
    replace: 'if (!this.#isHelped) return false;',
    test: 'packages/mmap-reader/test/replay-directory.test.ts',
  },
];
