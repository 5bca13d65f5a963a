import type { Defect } from '../defect.js';

const PERCORE = 'packages/percore/src';

/** Defects in epochs, checkpoints and recovery of per-core logs. */
export const PERCORE_DEFECTS: readonly Defect[] = [
  {
    name: 'barrier-missing-in-one-log',
    scenario: 'cores-epochs',
    breaks: 'An epoch is complete only when its barrier is in every log.',
    file: `${PERCORE}/recovered-logs.ts`,
    find: 'const completeEpoch = Math.min(lastEpoch, ...surveyed.map(({ whole }) => completeThrough(whole)));',
    replace:
      'const completeEpoch = Math.min(lastEpoch, Math.max(...surveyed.map(({ whole }) => completeThrough(whole))));',
  },
  {
    name: 'barrier-not-written',
    scenario: 'cores-epochs',
    breaks: 'A writer puts a barrier before the first entry of an epoch that it sees.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: 'if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);\n      this.#epochMark = mark;',
    replace: 'this.#epoch = this.#wantedEpoch;\n      this.#epochMark = mark;',
  },
  {
    name: 'manifest-with-written-places',
    scenario: 'cores-checkpoints',
    breaks: 'The manifest names places that are durable, not such that are only written.',
    file: `${PERCORE}/local-core.ts`,
    find: '    await writer.sync();\n    // What was told',
    replace: '    await writer.flush();\n    // What was told',
    also: {
      file: `${PERCORE}/local-core.ts`,
      find: '    if (durableLsnOf(writer) < barrier.lsn) throw notDurable(this.coreId, barrier.lsn);\n',
      replace: '',
    },
  },
  {
    name: 'place-where-the-log-ends',
    scenario: 'cores-checkpoints',
    breaks: 'The place of a checkpoint is behind the barrier, and not where the log ends when it is synced.',
    file: `${PERCORE}/local-core.ts`,
    find: '    const { lsn, position, timestampUs, committed } = barrier;',
    replace: '    const { timestampUs, committed } = barrier;\n    const { lastLsn: lsn, position } = writer;',
  },
  {
    name: 'boundary-at-completion',
    scenario: 'cores-submitted-syncs',
    breaks: 'A submitted sync advances to the boundary at its submission.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: '    this.#pending = undefined;\n    this.#synced(pending);',
    replace: '    this.#pending = undefined;\n    this.#synced(this.#boundary());',
  },
  {
    name: 'checkpoint-before-snapshot',
    scenario: 'cores-checkpoints',
    breaks: 'A checkpoint is noted as complete only when its snapshot is.',
    file: `${PERCORE}/checkpoint-coordinator.ts`,
    find: `      await takeSnapshot(checkpoint);
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });`,
    replace: `      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
      await takeSnapshot(checkpoint);`,
  },
  {
    name: 'truncated-before-manifest',
    scenario: 'cores-checkpoints',
    breaks: 'Segments go only when the checkpoint that replaces them is durable.',
    file: `${PERCORE}/checkpoint-coordinator.ts`,
    find: `      await takeSnapshot(checkpoint);
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
      await this.#truncate(checkpoint, 0);`,
    replace: `      await takeSnapshot(checkpoint);
      await this.#truncate(checkpoint, 0);
      await this.#write({ ...this.#manifest, checkpoint, pending: undefined });`,
  },
  {
    name: 'manifest-not-synced',
    scenario: 'cores-checkpoints',
    breaks: 'The manifest is replaced atomically: written and synced before it is renamed.',
    file: 'packages/storage-io/src/small-files.ts',
    find: '    yield* datasync(io, file);\n',
    replace: '',
  },
  {
    name: 'new-core-not-waited-for',
    scenario: 'cores-come-and-go',
    breaks: 'A core is waited for, durably, before an epoch that it may append to can be complete.',
    file: `${PERCORE}/settle.ts`,
    find: `false);
  yield* sync(log);`,
    replace: 'false);',
  },
  {
    name: 'left-entries-come-back',
    scenario: 'cores-epochs',
    breaks: 'What is left of epochs that are not complete is dropped for good before new epochs begin.',
    file: `${PERCORE}/settle.ts`,
    find: '    for (const core of cores) yield* dropWhatIsLeft(core);\n',
    replace: '',
  },
  {
    name: 'manifest-not-written-again',
    test: 'packages/percore/test/manager.test.ts',
    breaks:
      'A manifest is durable before the logs are changed because of it, though the sync behind its rename may have failed.',
    file: `${PERCORE}/settle.ts`,
    find: '    yield* writeAgain(settings, manifest);\n',
    replace: '',
  },
];
