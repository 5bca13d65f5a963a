import type { Defect } from '../defect.js';

const SEGMENTED = 'packages/segmented/src';

/** Defects in freeing segments and in what says where a log begins. */
export const TRUNCATION_DEFECTS: readonly Defect[] = [
  {
    name: 'freed-name-not-durable',
    scenario: 'freed-name-durable-before-overwritten',
    breaks: 'The name of a freed file is durable before a byte of it is overwritten.',
    file: `${SEGMENTED}/segment-stock.ts`,
    find: 'this.#renamed.push(name);',
    replace: 'this.#free.push(name);',
    also: {
      file: `${SEGMENTED}/segment-stock.ts`,
      find: '      yield* this.#names.sync();\n',
      replace: '',
    },
  },
  {
    name: 'file-with-two-names',
    scenario: 'freed-name-durable-before-overwritten',
    breaks: 'That a freed file is taken for the next segment is durable before it gets the name of that segment.',
    file: `${SEGMENTED}/segment-stock.ts`,
    find: '      yield* this.#names.sync();\n',
    replace: '',
  },
  {
    name: 'removed-before-checkpoint',
    scenario: 'checkpoint-before-removal',
    breaks: 'The first kept segment is durable in the checkpoint before older files go.',
    file: `${SEGMENTED}/truncation.ts`,
    find: '    yield* this.#replace({ ...this.#store.current, firstSegment: number });\n',
    replace: '',
  },
  {
    name: 'checkpoint-not-synced',
    scenario: 'checkpoint-before-removal',
    breaks: 'The checkpoint is replaced atomically: written and synced before it is renamed.',
    file: 'packages/storage-io/src/small-files.ts',
    find: '    yield* datasync(io, file);\n',
    replace: '',
  },
  {
    name: 'recycled-while-mapped',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A freed file is recycled only under an exclusive lock: nobody has it mapped.',
    file: `${SEGMENTED}/segment-stock.ts`,
    find: "if (!io.lockFile(file, 'exclusive')) return false;",
    replace: "io.lockFile(file, 'exclusive');",
  },
  {
    name: 'cut-not-durable',
    scenario: 'truncate-after',
    breaks: 'A cut is done when the name of the segment behind it is durable.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: '    if (old !== undefined) yield* this.#cut(old);\n    yield* this.#name(next);\n',
    replace: `    if (old !== undefined) yield* this.#cut(old);
    yield* nameNextSegment(this.#world.io, this.#settings.directory, next.header);
`,
  },
  {
    name: 'hidden-removed-before-name',
    scenario: 'reset-to',
    breaks: 'What a cut hides is removed only when the segment that hides it has its name for good.',
    file: `${SEGMENTED}/truncation.ts`,
    find: '    const hidden = yield* writer.startOver(lsn, { ...succession(newest), predecessor: undefined }, []);\n',
    replace: `    yield* this.#drop([...writer.sealed]);
    const hidden = (yield* writer.startOver(lsn, { ...succession(newest), predecessor: undefined }, [])).slice(-1);
`,
  },
  {
    name: 'checkpoint-not-lowered-first',
    scenario: 'checkpoint-lowered-first',
    breaks: 'A checkpoint that is ahead goes back durably before the log is cut.',
    file: `${SEGMENTED}/truncation.ts`,
    find: '    yield* this.#replace(loweredTo(lsn, this.#store.current));\n',
    replace: '',
  },
  {
    name: 'hold-forgotten',
    scenario: 'holds',
    breaks: 'No truncation goes past a hold.',
    file: `${SEGMENTED}/truncation.ts`,
    find: 'const needed = Math.min(lsn, ...Object.values(this.#claims));',
    replace: 'const needed = lsn;',
  },
  {
    name: 'hold-not-durable',
    scenario: 'holds',
    breaks: 'A hold is durable when it is given.',
    file: `${SEGMENTED}/checkpoint-store.ts`,
    find: '      yield* this.#writer.names.sync();\n',
    replace: '      yield* [];\n',
  },
  {
    name: 'retention-past-the-checkpoint',
    scenario: 'retention',
    breaks: 'Retention drops nothing that is above the checkpoint.',
    file: `${SEGMENTED}/retention.ts`,
    find: 'const behindCheckpoint = retainUntilCheckpoint ? checkpointLsn + 1 : Number.POSITIVE_INFINITY;',
    replace: 'const behindCheckpoint = (retainUntilCheckpoint ? Number.POSITIVE_INFINITY : checkpointLsn) + 1;',
  },
  {
    name: 'id-kept-for-every-life',
    scenario: 'recycled-behind-a-cut',
    breaks: 'Every life of a file has a fresh segment id.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: '      segmentId: this.#world.randomBytes(16),',
    replace: '      segmentId: this.#logId,',
    also: {
      file: `${SEGMENTED}/segment-stock.ts`,
      find: 'if (draft.earlierSeed === segmentSeed(header.segmentId)) {',
      replace: 'if (draft.earlierSeed === -segmentSeed(header.segmentId) - 1) {',
    },
  },
];
