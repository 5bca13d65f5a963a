import type { Defect } from '../defect.js';
import { SEGMENTED } from './folders.js';

const FILES = `${SEGMENTED}/quarantine/quarantined-files.ts`;
const QUARANTINE_READER = `${SEGMENTED}/quarantine/quarantine-reader.ts`;
const IMPORT_TEST = 'packages/wal/test/import.test.ts';
const QUARANTINE_TEST = 'packages/wal/test/quarantine.test.ts';

/** Defects in reading what a salvage has taken out of a log. */
export const QUARANTINES_DEFECTS: readonly Defect[] = [
  {
    name: 'quarantine-with-what-was-cut-off',
    test: IMPORT_TEST,
    breaks: 'Records that were cut off before a salvage are not returned as what it has taken out of the log.',
    file: QUARANTINE_READER,
    find: '{ path, header }, limit, all, new',
    replace: '{ path, header }, undefined, all, new',
  },
  {
    name: 'successors-left-in-the-log-forgotten',
    test: IMPORT_TEST,
    breaks: 'What is in quarantine ends where a segment begins that stayed in the log.',
    file: FILES,
    find: ' : Number.POSITIVE_INFINITY, keptUpTo(journal, name));',
    replace: ' : Number.POSITIVE_INFINITY);',
  },
  {
    name: 'earlier-rounds-forgotten',
    test: IMPORT_TEST,
    breaks: 'What an earlier round of a salvage has made again shows where the records in quarantine end.',
    file: `${SEGMENTED}/salvage/salvage.ts`,
    find: 'earlier: before === undefined ? [] : earlierRepairs(before),',
    replace: 'earlier: [],',
  },
  {
    name: 'limits-of-earlier-rounds-forgotten',
    test: IMPORT_TEST,
    breaks:
      'A segment that an earlier round of a salvage has made again ends in quarantine where the next one in the log began.',
    file: FILES,
    find: 'repair === undefined ? journal.earlier.find(({ original }) => original === name)?.limit :',
    replace: 'repair === undefined ? undefined :',
  },
  {
    name: 'earlier-salvages-forgotten',
    test: IMPORT_TEST,
    breaks: 'What is in quarantine ends where a segment began that an earlier salvage has taken out of the log.',
    file: FILES,
    find: 'isAlone ? [] : yield* beginningsBeside(io, directory, journal, lowest);',
    replace: '[] as readonly Beginning[];',
  },
  {
    name: 'later-salvages-cut-a-quarantine',
    test: IMPORT_TEST,
    breaks: 'What is in quarantine is not cut by a segment that came into the log later.',
    file: FILES,
    find: 'number > lowest && number < newest;',
    replace: 'number > lowest && newest > 0;',
  },
  {
    name: 'holes-of-an-earlier-round-not-reported',
    test: IMPORT_TEST,
    breaks: 'A salvage that keeps a prefix reports the holes of an earlier round, which went around damage, as lost.',
    file: `${SEGMENTED}/salvage/salvage.ts`,
    find: '[repairs, before?.repairs, before?.earlier].some(',
    replace: '[repairs].some(',
  },
  {
    name: 'second-copies-not-listed',
    test: IMPORT_TEST,
    breaks: 'A salvage lists a file that has a number appended to its name in quarantine.',
    file: `${SEGMENTED}/salvage/salvage.ts`,
    find: '[...new Set([...hidden, ...originals, ...copies])]',
    replace: '[...new Set([...hidden, ...originals])]',
  },
  {
    name: 'quarantine-continued-in-each-file',
    test: IMPORT_TEST,
    breaks: 'An import of a quarantine continues in the file that it had reached.',
    file: QUARANTINE_READER,
    find: "      if (basename(file.path) < (this.#plan.after?.file ?? '')) continue;\n",
    replace: '',
  },
  {
    name: 'quarantine-read-up-to-damage',
    test: IMPORT_TEST,
    breaks: 'A segment in quarantine is read around its damage.',
    file: `${SEGMENTED}/salvage/holes/damaged-segment.ts`,
    find: '      if (isNewest && !readsAll && !(yield* this.#isLost(run)))',
    replace: '      if (isNewest)',
  },
  {
    name: 'quarantine-without-damaged-headers',
    test: IMPORT_TEST,
    breaks: 'What is in quarantine ends where a segment begins of which a salvage had only the name.',
    file: FILES,
    find: 'return [...named.values()];',
    replace: 'return [];',
  },
  {
    name: 'quarantine-cut-by-any-name',
    test: IMPORT_TEST,
    breaks: 'A name that no salvage has noted does not hide what is in quarantine.',
    file: FILES,
    find: ' || !listed.has(name.name) || name.number >= newest ||',
    replace: ' ||',
  },
  {
    name: 'quarantine-continued-by-names-alone',
    test: IMPORT_TEST,
    breaks: 'An import of a quarantine continues with the path that the error of an aborted one has.',
    file: `${SEGMENTED}/quarantine/replay-quarantine.ts`,
    find: 'file: isInside ? basename(file) : file',
    replace: 'file',
  },
  {
    name: 'cut-behind-a-salvage-forgotten',
    test: QUARANTINE_TEST,
    breaks: 'What was cut off behind a salvage is not in the quarantine of a later one.',
    file: FILES,
    find: 'if (salvaged) return below;',
    replace: 'if (salvaged) return [];',
  },
  {
    name: 'given-up-by-a-salvage-and-cut-off',
    test: QUARANTINE_TEST,
    breaks:
      'What a salvage has given up in a file is in the quarantine of a later one, though the log was cut off before it meanwhile.',
    file: FILES,
    find: '.map((range) => ({ ...range, nextLsn: Math.min(range.nextLsn, firstLsn) }));',
    replace: ';',
  },
  {
    name: 'cut-batch-goes-on-behind-the-cut',
    test: QUARANTINE_TEST,
    breaks: 'An import ends a batch where what was cut off inside it is left out.',
    file: 'packages/wal/src/import/import-records.ts',
    find: 'if (this.#batchRead !== undefined && record.lsn !== this.#batchRead.sourceLsn + 1) await this.#endBatch();',
    replace: '',
  },
  {
    name: 'empty-quarantine-is-an-error',
    test: QUARANTINE_TEST,
    breaks: 'A salvage that has cut the newest segment alone has a quarantine that can be read, with nothing in it.',
    file: QUARANTINE_READER,
    find: "names.length > 0 || kindOf(io, join(directory, FileName.salvage)) === 'file'",
    replace: "names.length > 0 || kindOf(io, join(directory, FileName.salvage)) === 'other'",
  },
  {
    name: 'unreadable-salvage-ends-a-later-one',
    test: QUARANTINE_TEST,
    breaks: 'A quarantine is read where an earlier one beside it cannot be.',
    file: FILES,
    find: "if (!isFailureOfFile(error) && !WalError.is(error, 'WAL_UNSUPPORTED_VERSION')) throw error;",
    replace: "if (isFailureOfFile(error) || WalError.is(error, 'WAL_UNSUPPORTED_VERSION')) throw error;",
  },
];
