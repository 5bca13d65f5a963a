import type { Defect } from '../defect.js';

const WAL = 'packages/wal/src';
const SEGMENTED = 'packages/segmented/src';
const CODEC = 'packages/codec/src';
const STORAGE_IO = 'packages/storage-io/src';
const ENCODING_TEST = 'packages/wal/test/encoding.test.ts';

/** Defects in what calls take, give back and count: arguments, options, payloads, results. */
export const CALLS_DEFECTS: readonly Defect[] = [
  {
    name: 'refused-routine-runs-later',
    test: 'packages/storage-io/test/routine-queue.test.ts',
    breaks: 'A call that blocks and is refused because it can never have its turn never runs.',
    file: `${STORAGE_IO}/routine-queue.ts`,
    find: '      this.#remove(start);\n',
    replace: '',
  },
  {
    name: 'cut-off-never-completes',
    test: 'packages/segmented/test/truncate-after.test.ts',
    breaks: 'What is waited for and was cut off has completed.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    if (lsn <= this.#writer.droppedLsn && lsn > this.#submittedLsn) return true;\n',
    replace: '',
  },
  {
    name: 'completions-of-an-earlier-failure',
    test: 'packages/segmented/test/unremovable-draft.test.ts',
    breaks: 'What a submitted sync fails by is told of that one, and of none behind it.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    this.#submitFailure = undefined;\n    this.#queue.start(',
    replace: '    this.#queue.start(',
  },
  {
    name: 'marks-counted-as-groups',
    test: 'packages/segmented/test/marks.test.ts',
    breaks: 'A mark alone is no group.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: '    if (taken > this.#takenLsn) {',
    replace: '    if (extents.length > 0) {',
  },
  {
    name: 'cut-without-a-file-untold',
    test: 'packages/segmented/test/truncate-after.test.ts',
    breaks: 'A cut that removes no file is announced, too.',
    file: `${SEGMENTED}/truncation.ts`,
    find: '    if (hidden !== undefined && result === NOTHING) this.#listener.truncated(result);\n',
    replace: '',
  },
  {
    name: 'promise-form-that-throws',
    test: 'packages/wal/test/promise-forms.test.ts',
    breaks: 'What is wrong with the arguments of a promise form rejects the promise.',
    file: `${WAL}/wal.ts`,
    find: "  async replay(from: Lsn | 'first',",
    replace: "  replay(from: Lsn | 'first',",
  },
  {
    name: 'iterators-outlive-their-log',
    test: 'packages/wal/test/abandoned.test.ts',
    breaks: 'Closing a log closes the files of readings that were begun and left.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    for (const reader of this.#readers) reader.end();\n',
    replace: '',
  },
  {
    name: 'undefined-before-a-preset',
    test: 'packages/wal/test/builder.test.ts',
    breaks: 'An option that is undefined is not given.',
    file: `${WAL}/options.ts`,
    find: 'filter(([name]) => given[name as keyof WalOptions] === undefined)',
    replace: 'filter(([name]) => !(name in given))',
  },
  {
    name: 'inherited-options-lost',
    test: 'packages/wal/test/inherited-options.test.ts',
    breaks: 'Options that an object has from its class count as its own.',
    file: `${CODEC}/arguments.ts`,
    find: 'return Object.getPrototypeOf(value) === Object.prototype ? value : plain(value, known);',
    replace: 'return value ?? plain(value, known);',
  },
  {
    name: 'unknown-options-ignored',
    test: 'packages/codec/test/arguments.test.ts',
    breaks: 'An option that there is not is refused.',
    file: `${CODEC}/arguments.ts`,
    find: '    if (!known.includes(option as keyof T & string)) {',
    replace: "    if (!known.includes(option as keyof T & string) && option === '') {",
  },
  {
    name: 'key-in-a-message',
    test: 'packages/codec/test/key-ring.test.ts',
    breaks: 'No message shows text that may be a key.',
    file: `${CODEC}/arguments.ts`,
    find: 'const SHOWN_CHARACTERS = 24;',
    replace: 'const SHOWN_CHARACTERS = 64;',
  },
  {
    name: 'meta-and-payload-in-one-memory',
    test: 'packages/codec/test/payload-memory.test.ts',
    breaks: 'Meta and payload of a decrypted record have memory of their own.',
    file: `${CODEC}/payload-decoder.ts`,
    find: ': { meta: stored.subarray(0, metaLength), payload: payload.slice() };',
    replace: ': { meta: stored.subarray(0, metaLength), payload };',
  },
  {
    name: 'lone-surrogates-stored',
    test: ENCODING_TEST,
    breaks: 'Text that UTF-8 cannot encode is refused, and not stored as other text.',
    file: `${CODEC}/arguments.ts`,
    find: 'if ((text as unknown as WellFormedText).isWellFormed()) return text;',
    replace: 'if ((text as unknown as WellFormedText).isWellFormed !== undefined) return text;',
  },
  {
    name: 'bytes-read-as-other-text',
    test: ENCODING_TEST,
    breaks: 'Bytes that are not UTF-8 are not read as other text.',
    file: `${WAL}/encoding.ts`,
    find: "    if (!isUtf8(bytes)) throw new TypeError('it is not encoded in UTF-8');\n",
    replace: '    isUtf8(bytes);\n',
  },
  {
    name: 'thrown-without-a-text',
    test: ENCODING_TEST,
    breaks: 'Whatever an encoding throws, what comes of it is an error of the log.',
    file: `${WAL}/encoding.ts`,
    find: `  } catch {
    return 'it threw something that has no text';
  }`,
    replace: '  } finally {\n  }',
  },
  {
    name: 'anything-taken-for-a-signal',
    test: 'packages/wal/test/abort.test.ts',
    breaks: 'What is no signal is refused before anything is appended.',
    file: `${WAL}/aborting.ts`,
    find: `  typeof value.aborted === 'boolean' &&
  typeof value.addEventListener === 'function' &&
  typeof value.removeEventListener === 'function';`,
    replace: "  typeof value.aborted === 'boolean';",
  },
  {
    name: 'getter-that-appends',
    test: 'packages/segmented/test/moved-memory.test.ts',
    breaks: 'The log is looked at again after the options of a record were read.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '      if (options !== NO_OPTIONS) this.#throwUnlessWritable();\n',
    replace: '',
  },
  {
    name: 'key-callback-that-appends',
    test: 'packages/segmented/test/encryption.test.ts',
    breaks: 'The log is looked at again after a key service was asked.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    // Its callback may have appended, or closed the log.\n    this.#throwUnlessUnused();\n',
    replace: '',
  },
];
