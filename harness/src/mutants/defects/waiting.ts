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
    also: { file: `${WAL}/wal.ts`, find: '        this.#admission.resume();\n', replace: '' },
  },
  {
    name: 'aborted-commit-goes-on',
    test: 'packages/wal/test/abort.test.ts',
    breaks: 'A commit that is given up before it has an LSN is not appended.',
    file: `${WAL}/admission.ts`,
    find: '      this.#queue.splice(this.#queue.indexOf(leaving), 1);\n',
    replace: '',
  },
  {
    name: 'follow-without-a-hold',
    test: 'packages/wal/test/follow.test.ts',
    breaks: 'Truncation keeps what a follower in the same process has still to read.',
    file: `${WAL}/wal.ts`,
    find: 'return this.#log.keepFor(() => tail.nextLsn ?? first);',
    replace: 'return this.#log.keepFor(() => (tail.nextLsn ?? first) + 1_000_000);',
  },
];
