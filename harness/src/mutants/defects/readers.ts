import type { Defect } from '../defect.js';
import { READER } from './folders.js';

const FAILURES_TEST = 'packages/segmented/test/log-tail-failures.test.ts';
const CUTS_TEST = 'packages/segmented/test/log-tail-cuts.test.ts';
const TAKEN_OFF_TEST = 'packages/segmented/test/encryption-taken-off.test.ts';
const REPLAY_TEST = 'packages/mmap-reader/test/replay-directory.test.ts';

/** Defects in readers that go on: after failures, beside changes, and when they are called again. */
export const READERS_DEFECTS: readonly Defect[] = [
  {
    name: 'segment-gone-while-it-is-sealed',
    test: FAILURES_TEST,
    breaks: 'A tail whose segment goes before it is read to its end looks where it is to go on.',
    file: `${READER}/directory/tail-segments.ts`,
    find: `      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder);
    } catch (error) {
      yield* this.#relocateUnlessThere(error);`,
    replace: `      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder);
    } catch (error) {
      throw error;`,
  },
  {
    name: 'file-between-two-lives-is-an-error',
    test: FAILURES_TEST,
    breaks: 'A file whose next header is just being written is one that was removed.',
    file: `${READER}/directory/tail-segments.ts`,
    find: "new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER'])",
    replace: "new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED'])",
  },
  {
    name: 'two-findings-taken-for-one',
    test: FAILURES_TEST,
    breaks: 'A failure that passes, and a change behind it, are no damage.',
    file: `${READER}/chain/chain-beside-writer.ts`,
    find: 'if (seen === before?.seen && isSameFailure(error, before.error)) throw error;',
    replace: 'if (before !== undefined && (seen !== before.seen || isSameFailure(error, error))) throw error;',
  },
  {
    name: 'tail-that-looks-twice-at-a-time',
    test: 'packages/mmap-reader/test/log-tail-turns.test.ts',
    breaks: 'A second look of a tail is refused while the first one is under way.',
    file: `${READER}/directory/log-tail.ts`,
    find: '    if (this.#isAdvancing) throw busy(this.#directory);\n',
    replace: '    if (this.#isAdvancing === undefined) throw busy(this.#directory);\n',
  },
  {
    name: 'unwanted-before-the-first',
    test: REPLAY_TEST,
    breaks: 'A reading that goes on without its worker begins with the first record wanted.',
    file: `${READER}/directory/replayed-segments.ts`,
    find: "    if (from !== 'first' && from > nextLsn) yield* this.#seek(from);\n",
    replace: '    void from;\n',
  },
  {
    name: 'failed-cursor-at-the-end',
    test: REPLAY_TEST,
    breaks: 'A cursor that has failed does not say that it has come to the end.',
    file: `${READER}/directory/cursor-sources.ts`,
    find: '    if (this.#failure !== undefined) throw this.#failure.error;\n',
    replace: '    if (this.#failure !== undefined) return undefined;\n',
  },
  {
    name: 'unwanted-is-decoded',
    test: 'packages/wal/test/follow.test.ts',
    breaks: 'What a filter leaves out is not decoded.',
    file: `${READER}/walk/segment-walk.ts`,
    find: '        this.#skip(frames);\n',
    replace: '        decodeRecord(frames, decoder, true);\n        this.#skip(frames);\n',
  },
  {
    name: 'proof-not-looked-for-again',
    test: TAKEN_OFF_TEST,
    breaks: 'What a tail waits in is taken in the clear as soon as what follows it is encrypted.',
    file: `${READER}/directory/tail-segments.ts`,
    find: '      const decoder = yield* this.#makeDecoder();\n      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder);',
    replace:
      '      const { decoder } = this.#walk;\n      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder);',
  },
  {
    name: 'told-cut-hides-an-earlier-one',
    test: CUTS_TEST,
    breaks: 'A cut that is reported does not hide one from before the tail began.',
    file: `${READER}/directory/cut-check.ts`,
    find: 'if (reported !== undefined && this.#wasSeen) return reported;',
    replace: 'if (reported !== undefined) return reported;',
  },
  {
    name: 'key-for-an-empty-segment',
    test: TAKEN_OFF_TEST,
    breaks: 'Whether a segment is empty is said without its key.',
    file: `${READER}/directory/mmap-wal-reader.ts`,
    find: '      return !cursor.next();\n',
    replace: '      return !cursor.next() || cursor.payload === undefined;\n',
  },
];
