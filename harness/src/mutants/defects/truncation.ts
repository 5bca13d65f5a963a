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
    file: `${SEGMENTED}/log-directory.ts`,
    find: `    yield* ioSteps.write(io, file, encodeCheckpoint(checkpoint), 0);
    yield* ioSteps.datasync(io, file);`,
    replace: '    yield* ioSteps.write(io, file, encodeCheckpoint(checkpoint), 0);',
  },
  {
    name: 'recycled-while-mapped',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A freed file is recycled only under an exclusive lock: nobody has it mapped.',
    file: `${SEGMENTED}/segment-stock.ts`,
    find: "if (!io.lockFile(file, 'exclusive')) return false;",
    replace: "io.lockFile(file, 'exclusive');",
  },
];
