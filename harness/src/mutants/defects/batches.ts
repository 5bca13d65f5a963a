import type { Defect } from '../defect.js';
import { READER, SEGMENTED } from './folders.js';

/** Defects in batches being there whole or not at all. */
export const BATCHES_DEFECTS: readonly Defect[] = [
  {
    name: 'batch-flag-ignored',
    scenario: 'batches',
    breaks: 'A batch whose last record is missing at the end of the log is discarded whole.',
    file: `${READER}/frames/frame-summary.ts`,
    find: 'else this.openBatch ??= { end, nextLsn: record.lsn };',
    replace: 'else this.openBatch = undefined;',
  },
  {
    name: 'batch-flag-left-out',
    scenario: 'batches',
    breaks: 'Every record of a batch except the last one has the flag that the batch continues.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: 'const flags = this.#watermarks.nextLsn === lastLsn ? 0 : RecordFlag.batchContinues;',
    replace: 'const flags = this.#watermarks.nextLsn >= lastLsn - 1 ? 0 : RecordFlag.batchContinues;',
  },
  {
    name: 'batch-never-ends',
    scenario: 'batches',
    breaks: 'The last record of a batch ends it.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: 'const flags = this.#watermarks.nextLsn === lastLsn ? 0 : RecordFlag.batchContinues;',
    replace: 'const flags = RecordFlag.batchContinues;',
  },
  {
    name: 'durable-inside-a-batch',
    scenario: 'durable-at-batch-ends',
    breaks: 'The durable LSN moves to the ends of batches only.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: '    this.#arena.makeRoom(segment, bytes);\n',
    replace: '',
  },
];
