import type { Defect } from '../defect.js';
import { READER, SEGMENTED } from './folders.js';

const FAILURES_TEST = 'packages/segmented/test/log-tail-failures.test.ts';
const CUTS_TEST = 'packages/segmented/test/log-tail-cuts.test.ts';
const TAKEN_OFF_TEST = 'packages/segmented/test/encryption-taken-off.test.ts';
const REPLAY_TEST = 'packages/mmap-reader/test/replay-directory.test.ts';

/** Defects in readers that go on: after failures, beside changes, and when they are called again. */
export const READERS_DEFECTS: readonly Defect[] = [
  {
    name: 'segment-gone-while-it-is-sealed',
    test: FAILURES_TEST,
    breaks: 'A tail whose segment is removed before it is read to its end finds where to continue.',
    file: `${READER}/directory/tail-segments.ts`,
    find: `      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder, sessions);
      this.#walk.lastOfSegment = this.#lastOfSealed;
    } catch (error) {
      yield* this.#relocateUnlessThere(error);`,
    replace: `      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder, sessions);
      this.#walk.lastOfSegment = this.#lastOfSealed;
    } catch (error) {
      throw error;`,
  },
  {
    name: 'file-between-two-segments-is-an-error',
    test: FAILURES_TEST,
    breaks: 'A file whose header is just being replaced counts as removed.',
    file: `${READER}/directory/tail-segments.ts`,
    find: "new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED', 'WAL_BAD_HEADER'])",
    replace: "new Set<string>(['WAL_NOT_FOUND', 'WAL_TRUNCATED'])",
  },
  {
    name: 'passing-failure-and-change-taken-for-damage',
    test: FAILURES_TEST,
    breaks: 'A failure that passes, followed by a change, does not count as damage.',
    file: `${READER}/chain/chain-beside-writer.ts`,
    find: 'if (seen === before?.seen && isSameFailure(error, before.error)) throw error;',
    replace: 'if (before !== undefined && (seen !== before.seen || isSameFailure(error, error))) throw error;',
  },
  {
    name: 'tail-with-two-advances-at-a-time',
    test: 'packages/mmap-reader/test/log-tail-turns.test.ts',
    breaks: 'A second advance of a tail is refused while the first one is in progress.',
    file: `${READER}/directory/log-tail.ts`,
    find: "    if (this.#isAdvancing) throw busy(this.#directory, 'advancing');\n",
    replace: "    if (this.#isAdvancing === undefined) throw busy(this.#directory, 'advancing');\n",
  },
  {
    name: 'unwanted-before-the-first',
    test: REPLAY_TEST,
    breaks: 'A reading that continues without its worker begins with the first record wanted.',
    file: `${READER}/directory/replayed-segments.ts`,
    find: '    if (this.#from > nextLsn) yield* this.#seek(this.#from);\n',
    replace: '',
  },
  {
    name: 'record-behind-one-that-cannot-be-decoded',
    test: 'packages/segmented/test/positions.test.ts',
    breaks: 'A record that cannot be decoded stays the next one.',
    file: `${READER}/walk/segment-walk.ts`,
    find: '    this.#failure = { error };\n',
    replace: '',
  },
  {
    name: 'failed-cursor-at-the-end',
    test: REPLAY_TEST,
    breaks: 'A cursor that has failed does not report the end.',
    file: `${READER}/directory/cursor-sources.ts`,
    find: '    if (this.#failure !== undefined) throw this.#failure.error;\n',
    replace: '    if (this.#failure !== undefined) return undefined;\n',
  },
  {
    name: 'unwanted-is-decoded',
    test: 'packages/wal/test/follow.test.ts',
    breaks: 'What a filter skips is not decoded.',
    file: `${READER}/walk/segment-walk.ts`,
    find: '        this.#skip(frames);\n',
    replace: '        decodeRecord(frames, decoder, true);\n        this.#skip(frames);\n',
  },
  {
    name: 'encryption-of-the-next-segment-not-checked',
    test: TAKEN_OFF_TEST,
    breaks: 'Plaintext in the segment that a tail waits in is accepted as soon as the next segment is encrypted.',
    file: `${READER}/directory/tail-segments.ts`,
    find: '      const decoder = yield* this.#makeDecoder();\n      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder, sessions);',
    replace:
      '      const { decoder } = this.#walk;\n      this.#walk.enter(yield* openSealed(this.#io, links[0] as Link, range), decoder, sessions);',
  },
  {
    name: 'reported-cut-hides-an-earlier-one',
    test: CUTS_TEST,
    breaks: 'A cut that is reported does not hide one from before the tail began.',
    file: `${READER}/directory/follower-cut-detection.ts`,
    find: 'if (reported !== undefined && this.#wasSeen) return reported;',
    replace: 'if (reported !== undefined) return reported;',
  },
  {
    name: 'key-for-an-empty-segment',
    test: TAKEN_OFF_TEST,
    breaks: 'Whether a segment is empty can be read without its key.',
    file: `${READER}/directory/mmap-wal-reader.ts`,
    find: '      return !cursor.next();\n',
    replace: '      return !cursor.next() || cursor.payload === undefined;\n',
  },
  {
    name: 'missing-behind-the-checkpoint-not-told',
    test: 'packages/segmented/test/from-checkpoint.test.ts',
    breaks: 'Reading from the checkpoint on rejects where retention has removed records behind it.',
    file: `${READER}/chain/behind-checkpoint.ts`,
    find: 'lsn <= expiredLsn;',
    replace: 'lsn < 0 * expiredLsn;',
  },
  {
    name: 'truncated-counts-as-missing',
    test: 'packages/segmented/test/from-checkpoint.test.ts',
    breaks: 'Records that the application has truncated are not missing to a reader from the checkpoint on.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: "const expiredLsn = reason === 'expired' ? this.#expiredBelow(noted) : undefined;",
    replace: 'const expiredLsn = this.#expiredBelow(noted);',
  },
  {
    name: 'reset-counts-as-missing',
    test: 'packages/segmented/test/from-checkpoint.test.ts',
    breaks: 'Records that a reset has dropped are not missing to a reader from the checkpoint on.',
    file: `${READER}/chain/behind-checkpoint.ts`,
    find: 'firstNumber === firstSegment && ',
    replace: '',
  },
  {
    name: 'checkpoint-from-before-a-cut',
    test: 'packages/segmented/test/from-checkpoint-beside-writer.test.ts',
    breaks: 'A reader from the checkpoint on does not skip records that got their LSNs behind a cut.',
    file: `${READER}/chain/chain-beside-writer.ts`,
    find: '  if ((checkpoint?.checkpointLsn ?? 0) < checkpointLsn) {',
    replace: '  if (checkpointLsn < 0) {',
  },
  {
    name: 'overtaken-at-the-checkpoint',
    test: 'packages/segmented/test/from-checkpoint-beside-writer.test.ts',
    breaks: 'A tail from the checkpoint on begins again where the checkpoint has moved before it returned a record.',
    file: `${READER}/directory/tail-segments.ts`,
    find: '    this.#walk.nextLsn = 0;\n    this.#cuts.lastRead = undefined;\n    return true;\n',
    replace: '    return false;\n',
  },
  {
    name: 'place-of-the-checkpoint-not-known',
    test: 'packages/segmented/test/from-checkpoint-beside-writer.test.ts',
    breaks: 'A tail from the checkpoint on reports a cut before it.',
    file: `${READER}/directory/tail-segments.ts`,
    find: "second !== undefined || from === 'checkpoint'",
    replace: 'second !== undefined',
  },
  {
    name: 'unmapped-by-the-finalizer-only',
    test: 'packages/native/test/mapping.test.ts',
    breaks: 'A program that only blocks has nothing mapped that it has unmapped.',
    file: 'packages/native/addon/mapping.cc',
    find: 'napi_ok && has_memory) UnmapMemory(file);',
    replace: 'napi_ok && has_memory) return nullptr;',
  },
  {
    name: 'thrown-by-a-function-of-a-tail-taken-for-a-finding',
    test: 'packages/segmented/test/log-tail-functions.test.ts',
    breaks: 'What a function among the options of a tail throws skips no record, whatever error it is.',
    file: `${READER}/directory/log-tail-options.ts`,
    find: 'upTo: () => calls.called(upTo),',
    replace: 'upTo,',
  },
  {
    name: 'tail-reads-on-inside-its-filter',
    test: 'packages/segmented/test/log-tail-functions.test.ts',
    breaks: 'A tail refuses to read on while its filter is asked about a record, which would be left out.',
    file: `${READER}/directory/log-tail.ts`,
    find: "  next(): WalRecord | undefined {\n    if (this.#isMatching) throw busy(this.#directory, 'matching');\n",
    replace: '  next(): WalRecord | undefined {\n',
  },
  {
    name: 'views-of-plain-reads-transferable',
    test: 'packages/mmap-reader/test/moved-away.test.ts',
    breaks: 'Transferring a view of the newest segment to another thread leaves the records behind it.',
    file: `${READER}/frames/segment-scanner.ts`,
    find: 'this.#buffer = untransferable(this.#capacity(from, 0));',
    replace: 'this.#buffer = new Uint8Array(this.#capacity(from, 0));',
  },
  {
    name: 'filtered-views-not-restored',
    test: 'packages/mmap-reader/test/moved-away.test.ts',
    breaks:
      'Memory that is transferred away is restored for every reading that can, also where each field is looked at.',
    file: `${READER}/walk/segment-walk.ts`,
    find: '      if (this.#isRestored(error)) return this.#search(true);\n',
    replace: '',
  },
];
