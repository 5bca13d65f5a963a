import type { Defect } from '../defect.js';

const WAL = 'packages/wal/src';

/** Defects in who is told what, and when: those who wait for durability, and those who follow. */
export const WAITING_DEFECTS: readonly Defect[] = [
  {
    name: 'let-in-during-a-cut',
    test: 'packages/wal/test/truncation.test.ts',
    breaks: 'While the end of the log is cut off nobody gets an LSN, and who commits waits.',
    file: `${WAL}/wal.ts`,
    find: '    this.#admission.pause();\n',
    replace: '',
    also: { file: `${WAL}/wal.ts`, find: '      this.#admission.resume();\n', replace: '' },
  },
  {
    name: 'aborted-commit-goes-on',
    test: 'packages/wal/test/abort.test.ts',
    breaks: 'A commit that is given up before it has an LSN is not appended.',
    file: `${WAL}/admission.ts`,
    find: '    const wasFirst = applicant === this.#first;\n    this.#remove(applicant);\n',
    replace: '    const wasFirst = applicant === this.#first;\n',
  },
  {
    name: 'follow-without-a-hold',
    test: 'packages/wal/test/follow.test.ts',
    breaks: 'Truncation keeps what a follower in the same process has still to read.',
    file: `${WAL}/wal.ts`,
    find: 'this.#log.keepFor(() => tail.nextLsn ?? first, cut);',
    replace: 'this.#log.keepFor(() => (tail.nextLsn ?? first) + 1_000_000, cut);',
  },
  {
    name: 'cut-that-rejects-serves-nobody',
    test: 'packages/wal/test/truncation.test.ts',
    breaks: 'Commits whose records a cut made durable are served, also when it fails behind that.',
    file: `${WAL}/wal.ts`,
    find: '      else this.#commits.cut(lastLsn);\n',
    replace: '',
  },
  {
    name: 'finished-cut-untold',
    test: 'packages/wal/test/follow-cuts.test.ts',
    breaks: 'A follower in the process that writes gives out no event that a finished cut took away.',
    file: `${WAL}/wal.ts`,
    find: 'this.#log.keepFor(() => tail.nextLsn ?? first, cut);',
    replace: 'this.#log.keepFor(() => tail.nextLsn ?? first);',
  },
  {
    name: 'event-after-an-abort',
    test: 'packages/wal/test/follow-cuts.test.ts',
    breaks: 'A follower gives out no event after its signal was aborted.',
    file: `${WAL}/follow.ts`,
    find: 'return this.#settings.signal?.aborted === true || this.#followed.closed() !== undefined;',
    replace: 'return this.#followed.closed() !== undefined;',
  },
  {
    name: 'damage-waited-for',
    test: 'packages/wal/test/follow-cuts.test.ts',
    breaks: 'What the writer knows to be durable and a follower cannot read is damage, and nothing to wait for.',
    file: `${WAL}/follow.ts`,
    find: '{ ...options, durableOnly: false, durable };',
    replace: '{ ...options, durableOnly: false };',
  },
];
