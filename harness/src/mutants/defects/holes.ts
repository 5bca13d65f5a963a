import type { Defect } from '../defect.js';
import { READER, SEGMENTED } from './folders.js';

const BATCH_PROOF = `${SEGMENTED}/salvage/holes/batch-proof.ts`;
const MAKE = `${SEGMENTED}/salvage/holes/make-repairs.ts`;
const DAMAGED = `${SEGMENTED}/salvage/holes/damaged-segment.ts`;
const BACKUP = `${SEGMENTED}/backup/backup.ts`;
const HOLES_TEST = 'packages/segmented/test/holes.test.ts';
const PROPERTY_TEST = 'packages/segmented/test/holes.property.test.ts';
const BATCHES_TEST = 'packages/segmented/test/batches-behind-damage.test.ts';
const SKIP_PLAN = `${SEGMENTED}/salvage/holes/skip-plan.ts`;
const ORDER_TEST = 'packages/segmented/test/holes-in-order.test.ts';
const READERS_TEST = 'packages/wal/test/holes.test.ts';
const IMPORT = 'packages/wal/src/import/import-records.ts';
const IMPORT_TEST = 'packages/wal/test/import.test.ts';
const BACKUP_TEST = 'packages/segmented/test/backup-of-holes.test.ts';

/** Defects in salvage around damage, in what readers and backups do with holes, and in importing. */
export const HOLES_DEFECTS: readonly Defect[] = [
  {
    name: 'hole-passed-in-silence',
    test: READERS_TEST,
    breaks: 'A reader that was not asked to skip holes throws where records are lost.',
    file: `${READER}/walk/segment-walk.ts`,
    find: "    if (this.#onHole === 'throw') throw inHole(path, position, lost);\n",
    replace: '',
  },
  {
    name: 'hole-passed-by-a-cursor',
    test: READERS_TEST,
    breaks: 'A cursor throws where records are lost, as other readers do.',
    file: `${READER}/directory/cursor-sources.ts`,
    find: '      this.#reader.walk.passMark(frames);\n',
    replace: '',
  },
  {
    name: 'hole-behind-a-cut-thrown',
    test: HOLES_TEST,
    breaks: 'Of a hole in which the log was cut, only what is before the cut is lost.',
    file: `${SEGMENTED}/read/planned-segments.ts`,
    find: '      this.#walk.lastOfSegment = segment.nextLsn - 1;\n',
    replace: '',
  },
  {
    name: 'holes-forgotten-at-opening',
    test: HOLES_TEST,
    breaks: 'Each opening reports all holes of the log.',
    file: `${SEGMENTED}/recovery/analyze-log.ts`,
    find: 'const holes = segments.flatMap((segment) => segment.holes ?? []);',
    replace: 'const holes: Hole[] = [];',
  },
  {
    name: 'rest-of-a-torn-batch-kept',
    test: PROPERTY_TEST,
    breaks: 'Of a batch of which a record is lost nothing is kept.',
    file: BATCH_PROOF,
    find: '  const isNoRecord = (record.flags & (RecordFlag.mark | RecordFlag.hole)) !== 0;\n',
    replace: '  const isNoRecord = true;\n',
  },
  {
    name: 'beginning-of-a-torn-batch-kept',
    test: PROPERTY_TEST,
    breaks: 'The beginning of a batch of which a later record is lost is part of the hole.',
    file: DAMAGED,
    find: '      const firstLsn = isNothingLost ? lsn : kept.nextLsn;\n      const from = isNothingLost ? run.end : kept.end;\n',
    replace: '      const firstLsn = isNothingLost ? lsn : run.nextLsn;\n      const from = run.end;\n',
  },
  {
    name: 'flags-of-a-damaged-record-believed',
    test: HOLES_TEST,
    breaks: 'Whether a batch goes on behind a damaged record is known only where the checksum proves its flags.',
    file: BATCH_PROOF,
    find: '  if (damage === undefined) return undefined;\n',
    replace: '  if (damage === undefined) return (record.flags & RecordFlag.batchContinues) !== 0;\n',
  },
  {
    name: 'flags-believed-by-chance',
    test: BATCHES_TEST,
    breaks: 'A checksum is a proof of flags only where few changes of a record could explain it by chance.',
    file: `${SEGMENTED}/salvage/holes/single-damage.ts`,
    find: '  return bytes * (isOneBit ? BIT_CHANGES : BYTE_CHANGES) > CHANGES_MAX;\n',
    replace: '  return bytes < 0 && isOneBit;\n',
  },
  {
    name: 'headers-in-a-payload-not-counted',
    test: BATCHES_TEST,
    breaks: 'Everything that may be the damaged record counts in what could explain its checksum by chance.',
    file: BATCH_PROOF,
    find: '  for (const { record: each } of damaged) bytes += FRAME_HEADER_BYTES + each.length;\n',
    replace: '',
  },
  {
    name: 'batch-behind-a-damaged-hole-lost',
    test: BATCHES_TEST,
    breaks: 'Damage of a hole costs nothing that is behind it.',
    file: BATCH_PROOF,
    find: '  if (yield* isBehindHole(search, found)) return false;\n',
    replace: '',
  },
  {
    name: 'beginning-lost-in-silence',
    test: ORDER_TEST,
    breaks: 'A log whose first files are missing has a hole there, and not only a later beginning.',
    file: SKIP_PLAN,
    find: '    if (isFirst && (files.isBeginning(predecessor.number) || begun === firstLsn)) return undefined;\n',
    replace: '    if (isFirst) return undefined;\n',
  },
  {
    name: 'order-not-to-be-confirmed',
    test: ORDER_TEST,
    breaks: 'Where a number is not there below a damaged header, the LSN in its name confirms the order.',
    file: SKIP_PLAN,
    find: '    if (this.#salvageLsn === firstLsn) return true;\n',
    replace: '',
  },
  {
    name: 'order-taken-for-granted',
    test: ORDER_TEST,
    breaks: 'A segment that may be missing below a damaged header is asked for.',
    file: SKIP_PLAN,
    find: '    this.asked = firstLsn;\n    return false;\n',
    replace: '    return true;\n',
  },
  {
    name: 'made-again-and-not-durable',
    scenario: 'salvage-around-damage',
    breaks: 'A segment that is made again is durable before the damaged one loses its name.',
    file: MAKE,
    find: '    yield* ioSteps.datasync(io, file);\n',
    replace: '',
  },
  {
    name: 'made-again-from-itself',
    scenario: 'salvage-around-damage',
    breaks: 'A salvage that is continued makes a segment from the damaged file, wherever that is.',
    file: MAKE,
    find: 'yield* writeDraft(io, settings, header, repair, isMoved ? hidden : path);',
    replace: 'yield* writeDraft(io, settings, header, repair, path);',
  },
  {
    name: 'backup-with-less-than-before',
    test: BACKUP_TEST,
    breaks: 'A backup with a record that its log has lost in a hole is not replaced.',
    file: `${SEGMENTED}/backup/target.ts`,
    find: 'if (lsn <= lastLsn && lsn < before.nextLsn) return lsn;',
    replace: 'if (lsn > lastLsn) return lsn;',
  },
  {
    name: 'backup-of-the-earlier-holes',
    test: BACKUP_TEST,
    breaks: 'A backup does not keep a file with other holes than the segment has now.',
    file: BACKUP,
    find: ': !isNewest && hasSameHoles(present.get(now.number), now) && (yield* this.#has(name, now));',
    replace: ': !isNewest && present.has(now.number) && (yield* this.#has(name, now));',
  },
  {
    name: 'backup-of-what-was-staged-before-a-hole',
    test: BACKUP_TEST,
    breaks: 'What was staged of a segment before it got a hole is not used.',
    file: BACKUP,
    find: 'if (!isNewest && now.holes === undefined && there.has(stage) &&',
    replace: 'if (!isNewest && there.has(stage) &&',
  },
  {
    name: 'core-salvaged-around-damage',
    test: HOLES_TEST,
    breaks: 'The log of a core is not salvaged around damage, as those of other cores depend on it.',
    file: `${SEGMENTED}/salvage/salvage.ts`,
    find: 'if (plans === planAround) refuseCore(directory, settings.coreId ?? survey.sound.at(-1)?.header.coreId);',
    replace: '',
  },
  {
    name: 'batches-imported-in-parts',
    test: IMPORT_TEST,
    breaks: 'A batch of the source is imported as a batch.',
    file: IMPORT,
    find: 'if (isContinued || this.#batch !== undefined) {',
    replace: 'if (this.#batch !== undefined) {',
  },
  {
    name: 'import-aborted-in-a-group',
    test: IMPORT_TEST,
    breaks: 'An import that is aborted says up to where it is done, with nothing appended behind that.',
    file: IMPORT,
    find: '    await this.#endGroup();\n    this.#throwIfAborted();\n',
    replace: '    this.#throwIfAborted();\n    await this.#endGroup();\n',
  },
  {
    name: 'import-begins-at-the-beginning-again',
    test: IMPORT_TEST,
    breaks: 'An import that is stopped before it has imported anything continues where it was to begin.',
    file: IMPORT,
    find: "nothingBefore(typeof from === 'number' ? from : 1)",
    replace: 'nothingBefore(1)',
  },
  {
    name: 'batches-joined-behind-a-cut',
    test: IMPORT_TEST,
    breaks: 'A batch inside which the source was cut ends there.',
    file: IMPORT,
    find: '      if (segment !== path) await this.#endBatch();\n',
    replace: '',
  },
  {
    name: 'import-of-its-own-records',
    test: IMPORT_TEST,
    breaks: 'A log does not import its own records, by whatever name its directory is given.',
    file: IMPORT,
    find: 'one.dev === other.dev && one.ino === other.ino',
    replace: 'source === own',
  },
  {
    name: 'quarantine-with-what-was-cut-off',
    test: IMPORT_TEST,
    breaks: 'Records that were cut off before a salvage are not returned as what it has taken out of the log.',
    file: `${SEGMENTED}/quarantine/quarantine-reader.ts`,
    find: '{ path, header }, limit, all, new',
    replace: '{ path, header }, undefined, all, new',
  },
  {
    name: 'successors-left-in-the-log-forgotten',
    test: IMPORT_TEST,
    breaks: 'What is in quarantine ends where a segment begins that stayed in the log.',
    file: `${SEGMENTED}/quarantine/quarantined-files.ts`,
    find: ' ?? Number.POSITIVE_INFINITY, keptUpTo(journal, name));',
    replace: ' ?? Number.POSITIVE_INFINITY);',
  },
  {
    name: 'quarantine-continued-in-each-file',
    test: IMPORT_TEST,
    breaks: 'An import of a quarantine continues in the file that it had reached.',
    file: `${SEGMENTED}/quarantine/quarantine-reader.ts`,
    find: "      if (basename(file.path) < (this.#plan.after?.file ?? '')) continue;\n",
    replace: '',
  },
  {
    name: 'quarantine-read-up-to-damage',
    test: IMPORT_TEST,
    breaks: 'A segment in quarantine is read around its damage.',
    file: DAMAGED,
    find: '      if (isNewest && !readsAll && !(yield* this.#isLost(run)))',
    replace: '      if (isNewest)',
  },
];
