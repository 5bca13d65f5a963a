import type { Defect } from '../defect.js';

const PERCORE = 'packages/percore/src';

/** Defects in epochs, checkpoints and recovery of per-core logs. */
export const PERCORE_DEFECTS: readonly Defect[] = [
  {
    name: 'barrier-missing-in-one-log',
    scenario: 'cores-epochs',
    breaks: 'An epoch is complete only when its barrier is in every log.',
    file: `${PERCORE}/recovered-logs.ts`,
    find: 'const completeEpoch = leaving?.complete ?? Math.min(lastEpoch, ...complete);',
    replace: 'const completeEpoch = leaving?.complete ?? Math.min(lastEpoch, Math.max(0, ...complete));',
  },
  {
    name: 'barrier-not-written',
    scenario: 'cores-epochs',
    breaks: 'A writer puts a barrier before the first entry of an epoch that it sees.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: 'if (this.#wantedEpoch > this.#epoch) this.#beginEpoch(this.#wantedEpoch, false);\n      [this.#epochLow',
    replace: 'this.#epoch = this.#wantedEpoch;\n      [this.#epochLow',
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
    test: 'packages/percore/test/coordination.test.ts',
    breaks: 'The place of a checkpoint is behind the barrier, and not where the log ends when it is synced.',
    file: `${PERCORE}/local-core.ts`,
    find: '    const { lsn, position, timestampUs, committed, commitPlaces, left } = barrier;',
    replace:
      '    const { timestampUs, committed, commitPlaces, left } = barrier;\n    const { lastLsn: lsn, position } = writer;',
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
      await this.#inTurn(() => this.#complete(checkpoint));`,
    replace: `      await this.#inTurn(() => this.#complete(checkpoint));
      await takeSnapshot(checkpoint);`,
  },
  {
    name: 'truncated-before-manifest',
    scenario: 'cores-checkpoints',
    breaks: 'Segments go only when the checkpoint that replaces them is durable.',
    file: `${PERCORE}/checkpoint-coordinator.ts`,
    find: `    await this.#write({ ...this.#manifest, checkpoint, pending: undefined });
    await this.#truncate(checkpoint, 0);`,
    replace: `    await this.#truncate(checkpoint, 0);
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
    find: `  }
  yield* sync(log);
  return { ...member, state: after };`,
    replace: `  }
  return { ...member, state: after };`,
  },
  {
    name: 'left-entries-come-back',
    scenario: 'cores-epochs',
    breaks: 'What is left of epochs that are not complete is dropped for good before new epochs begin.',
    file: `${PERCORE}/settle.ts`,
    find: '    for (const core of cores) yield* dropWhatIsLeft(settings, core, salvage !== undefined);\n',
    replace: '',
  },
  {
    name: 'manifest-not-written-again',
    test: 'packages/percore/test/manager.test.ts',
    breaks:
      'A manifest is durable before the logs are changed because of it, though the sync behind its rename may have failed.',
    file: `${PERCORE}/settle.ts`,
    find: 'const manifestUnsure = yield* writeAgain(settings, manifest, needed);',
    replace: 'const manifestUnsure = needed && epoch < 0;',
  },
  {
    name: 'left-before-it-is-decided',
    test: 'packages/percore/test/settling.test.ts',
    breaks: 'What is complete, and the last epoch, are durable before any log is cut.',
    file: `${PERCORE}/settle.ts`,
    find: 'const manifest = leaves ? { ...found, leaving: { complete: completeEpoch, last: lastEpoch } } : found;',
    replace: 'const manifest = leaves ? found : found;',
  },
  {
    name: 'position-of-the-last-byte',
    scenario: 'cores-come-and-go-cleanly',
    breaks: 'The end of a log that was closed cleanly is the end of its last block, where it goes on.',
    file: 'packages/segmented/src/segmented-wal.ts',
    find: '    const { position: end } = this.#writer;\n',
    replace: `    const last = this.#writer.segments.at(-1);
    const end = last === undefined ? 0 : last.header.firstPosition + last.end - last.header.blockBytes;
`,
  },
  {
    name: 'half-an-epoch-compared',
    test: 'packages/percore/test/settling.test.ts',
    breaks: 'A writer compares the whole number of an epoch with its own.',
    file: `${PERCORE}/epochs.ts`,
    find: 'return Atomics.load(words, LOW_WORD) === low && Atomics.load(words, 1 - LOW_WORD) === high;',
    replace: 'return Atomics.load(words, LOW_WORD) === low || high === Number.NaN;',
  },
  {
    name: 'barrier-of-a-core-that-left',
    test: 'packages/percore/test/coordination.test.ts',
    breaks: 'The last barrier of a core counts for every later epoch.',
    file: `${PERCORE}/local-core.ts`,
    find: 'if (barrierOf(writer, epoch) === undefined) await appendBarrier(writer);',
    replace: 'if (barrierOf(writer, epoch)?.left !== false) await appendBarrier(writer);',
  },
  {
    name: 'truncated-past-a-managers-checkpoint',
    test: 'packages/percore/test/coordination.test.ts',
    breaks: 'A writer alone does not take away what the last checkpoint of a manager needs.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: 'if (lsn > neededFrom) {',
    replace: 'if (lsn < 0) {',
  },
  {
    name: 'manifest-taken-for-durable-by-a-writer-alone',
    test: 'packages/percore/test/writer-alone.test.ts',
    breaks: 'A writer alone truncates because of a checkpoint only when no crash takes that back.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: 'if (manifest !== undefined) yield* waitFor(io, () => writeManifest(io, directory, manifest, draft));',
    replace:
      'if (manifest === undefined) yield* waitFor(io, () => writeManifest(io, directory, manifest as never, draft));',
  },
  {
    name: 'offsets-carried-into-an-open-epoch',
    test: 'packages/percore/test/writer-alone.test.ts',
    breaks: 'What was committed in complete epochs stays while that in which it is appended again is not complete.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: 'const ended = ledger.endedFrom(this.#epoch);',
    replace: 'const ended = ledger.endedFrom(0);',
  },
  {
    name: 'entry-behind-the-last-barrier',
    test: 'packages/percore/test/writer-alone.test.ts',
    breaks: 'A writer alone appends nothing by itself behind the last barrier of a core.',
    file: `${PERCORE}/core-wal-writer.ts`,
    find: 'if (this.#leftAt === log.lastLsn) return',
    replace: 'if (this.#leftAt === -1) return',
  },
  {
    name: 'opened-alone-while-half-salvaged',
    test: 'packages/percore/test/writer-alone.test.ts',
    breaks: 'While a salvage of a per-core log has not ended, no writer alone opens the log of a core.',
    file: `${PERCORE}/log-alone.ts`,
    find: 'if (note !== undefined) throw unfinishedSalvage(directory);',
    replace: 'if (note === null) throw unfinishedSalvage(directory);',
  },
];
