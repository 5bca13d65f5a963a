import type { Defect } from '../defect.js';

const SEGMENTED = 'packages/segmented/src';
const READER = 'packages/mmap-reader/src';

/** Defects in opening a log. */
export const RECOVERY_DEFECTS: readonly Defect[] = [
  {
    name: 'kept-not-written-again',
    scenario: 'written-again-at-recovery',
    breaks: 'Recovery writes again what is kept and nothing proves durable.',
    file: `${SEGMENTED}/recovery.ts`,
    find: 'if (judgement.unprovenFrom !== undefined) yield* rewrite(world, file, judgement.unprovenFrom, newest.end);',
    replace: 'if (judgement.unprovenFrom !== undefined) yield* ioSteps.datasync(world.io, file);',
  },
  {
    name: 'tail-cut-before-decision',
    breaks: 'Recovery changes nothing until it has decided.',
    file: `${SEGMENTED}/judgement.ts`,
    find: 'const behind = yield* lookBehind(io, file, readable, size);',
    replace: `yield io.submitTruncate(file, frames.end);
  const behind = yield* lookBehind(io, file, readable, frames.end);`,
  },
  {
    name: 'zeros-end-the-log',
    breaks: 'Behind zeros, too, evidence decides between the end of the log and a hole.',
    file: `${READER}/hole.ts`,
    find: '      const evidenceOffset = this.#dirty ? yield* this.#searchChunk(position, filled) : undefined;',
    replace: `      if (isZero(this.#chunk, Math.min(filled, 8))) return { evidenceOffset: undefined, dirty: this.#dirty };
      const evidenceOffset = this.#dirty ? yield* this.#searchChunk(position, filled) : undefined;`,
  },
  {
    name: 'no-evidence',
    breaks: 'What was acknowledged and cannot be read is corruption, not a torn tail.',
    file: `${SEGMENTED}/judgement.ts`,
    find: '  if (behind.evidenceOffset !== undefined) {',
    replace: '  if (behind.evidenceOffset === -1) {',
  },
  {
    name: 'leftovers-before-names',
    scenario: 'leftovers-after-the-names',
    breaks: 'Recovery syncs the directory, and only then removes what the log does without.',
    file: `${SEGMENTED}/recovery.ts`,
    find: '  yield* ioSteps.syncDirectory(world.io, settings.directory);\n  for (const { segment, paths } of',
    replace: '  for (const { segment, paths } of',
    also: {
      file: `${SEGMENTED}/new-segment.ts`,
      find: 'yield* closingOnFailure(world, active, ioSteps.syncDirectory(world.io, settings.directory));',
      replace: '',
    },
  },
  {
    name: 'evidence-without-budget',
    test: 'packages/segmented/test/hostile.test.ts',
    breaks: 'Evidence behind a hole is looked for within a budget: the work is linear in the size of the file.',
    file: `${READER}/hole.ts`,
    find: 'this.#budget -= length;',
    replace: 'this.#budget -= 0;',
  },
  {
    name: 'new-log-over-the-remains-of-one',
    test: 'packages/segmented/test/truncation.test.ts',
    breaks: 'A checkpoint or a free file without a segment is no new log.',
    file: `${SEGMENTED}/open-log.ts`,
    find: 'if (files.checkpoint || files.free.length > 0) {',
    replace: 'if (files.checkpoint && files.free.length > 0) {',
  },
  {
    name: 'no-new-segment-after-a-crash',
    scenario: 'late-writes-behind-a-cut',
    breaks:
      'After a crash a log goes on in a new segment, which hides what a killed process still writes to the old one.',
    file: `${SEGMENTED}/recovery.ts`,
    find: 'const next = judgement.cleanlyClosed ? NOTHING :',
    replace: 'const next = judgement.cleanlyClosed || settled.nextLsn > 0 ? NOTHING :',
  },
  {
    name: 'salvaged-leftovers-removed',
    scenario: 'salvage',
    breaks: 'Leftovers under a segment made by salvage are put into quarantine, never removed.',
    file: `${SEGMENTED}/quarantine.ts`,
    find: '    ({ header }) => header.salvaged && number',
    replace: '    ({ header }) => header.salvaged && header.number < 0 && number',
  },
  {
    name: 'salvage-forgotten-at-replacement',
    scenario: 'salvage',
    breaks: 'A segment that takes the place of an empty one made by salvage says that it was, too.',
    file: `${SEGMENTED}/segment.ts`,
    find: '    return { firstPosition, predecessor, salvaged };',
    replace: '    return { firstPosition, predecessor, salvaged: salvaged && firstPosition < 0 };',
  },
  {
    name: 'quarantine-before-name',
    scenario: 'salvage',
    breaks: 'Salvage moves nothing away before the segment that hides it is there for good.',
    file: `${SEGMENTED}/salvage.ts`,
    find: '  const active = yield* makeSalvaged(world, settings, files, plan);\n',
    replace: `  const hidden = plan.hidden.map((name) => join(directory, name));
  yield* moveToQuarantine(world, directory, join(directory, 'quarantine', 'early'), hidden);
  const active = yield* makeSalvaged(world, settings, files, { ...plan, hidden: [] });
`,
  },
];
