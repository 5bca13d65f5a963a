import type { Defect } from './defect.js';

const SEGMENTED = 'packages/segmented/src';
const CODEC = 'packages/codec/src';

/** Every deliberate defect. Each must be caught. */
export const DEFECTS: readonly Defect[] = [
  {
    name: 'frame-in-block-tail',
    scenario: 'frames-at-block-ends',
    breaks: 'No frame starts in the last 7 bytes of a block.',
    file: `${CODEC}/frame-layout.ts`,
    find: 'return left < FRAME_HEADER_BYTES ? position + left : position;',
    replace: 'return left < 0 ? position + left : position;',
  },
  {
    name: 'checksum-not-bound-to-segment',
    breaks: 'The checksum of a frame begins with the id of its segment.',
    file: `${CODEC}/segment-header.ts`,
    find: "return continueCrc32c(checkBytes('segmentId', segmentId, ID_BYTES), 0, ID_BYTES, 0);",
    replace: 'return continueCrc32c(new Uint8Array(segmentId.length), 0, ID_BYTES, 0);',
  },
  {
    name: 'header-not-synced',
    scenario: 'header-before-anything-else',
    breaks: 'The header of a segment is durable before any other byte of its life is written.',
    file: `${SEGMENTED}/segment-file.ts`,
    find: `  if (io.capabilities.durableWrites) {
    yield* ioSteps.write(io, file, block, 0, { durable: true });
  } else {
    yield* ioSteps.write(io, file, block, 0);
    yield* ioSteps.datasync(io, file);
  }`,
    replace: '  yield* ioSteps.write(io, file, block, 0);',
  },
  {
    name: 'acknowledged-before-name',
    scenario: 'name-before-acknowledgement',
    breaks: 'Before the name of a segment is durable no record in it is acknowledged.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: `    yield* nameNextSegment(this.#world.io, this.#settings.directory, next.header);
    yield* this.#syncNames();
  }`,
    replace: `    yield* nameNextSegment(this.#world.io, this.#settings.directory, next.header);
  }`,
  },
  {
    name: 'named-before-predecessor-durable',
    scenario: 'sealing',
    breaks: 'All groups of a segment are durable before the next one gets its name.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: `      yield* this.#until(() => old.isWritten);
      if (old.dirty) yield* this.#datasync(old);
      this.#durableLsn = Math.max(this.#durableLsn, next.header.firstLsn - 1);
      yield* this.#cut(old);`,
    replace: '',
  },
  {
    name: 'durable-from-newest',
    scenario: 'contiguous-durable-prefix',
    breaks: 'The durable prefix is contiguous: it never jumps over a write that has not completed.',
    file: `${SEGMENTED}/pipeline.ts`,
    find: 'while (this.#items[0]?.done === true) this.#items.shift()?.count();',
    replace: `for (const item of [...this.#items]) {
      if (!item.done) continue;
      this.#items.splice(this.#items.indexOf(item), 1);
      item.count();
    }`,
  },
  {
    name: 'acknowledged-at-submission',
    scenario: 'groups',
    breaks: 'Nothing is acknowledged before its write has completed.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: 'yield* this.#until(() => this.#durableLsn >= lsn);',
    replace: 'this.#durableLsn = Math.max(this.#durableLsn, lsn);',
  },
  {
    name: 'no-datasync',
    scenario: 'single-commits',
    breaks: 'A sync makes durable what was written.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: 'if (segment?.dirty === true) yield* this.#datasync(segment);',
    replace: 'if (segment !== undefined) segment.dirty = false;',
  },
  {
    name: 'failed-sync-retried',
    scenario: 'written-again-at-recovery',
    breaks: 'A sync that failed is final: a later one that succeeds proves nothing.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: `    yield* ioSteps.datasync(this.#world.io, fileOf(segment));
    segment.dirty = false;`,
    replace: `    try {
      yield* ioSteps.datasync(this.#world.io, fileOf(segment));
    } catch {
      yield* ioSteps.datasync(this.#world.io, fileOf(segment));
    }
    segment.dirty = false;`,
  },
  {
    name: 'lag-from-written',
    scenario: 'flushes',
    breaks: 'The lag of a record counts from the highest LSN known durable, not from what was written or appended.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: 'writeRecordHeader(view, offset, frameBytes, lsn, body.type, this.#durableLsn,',
    replace: 'writeRecordHeader(view, offset, frameBytes, lsn, body.type, lsn - 1,',
  },
  {
    name: 'mark-before-durable',
    scenario: 'mark-only-when-all-durable',
    breaks: 'A mark is written only when the durable LSN is the last one appended.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: 'if (segment === undefined || segment !== this.#named || this.#durableLsn !== this.#nextLsn - 1) return;',
    replace: 'if (segment === undefined || segment !== this.#named) return;',
  },
  {
    name: 'blocks-in-flight-overlap',
    scenario: 'blocks-in-flight-apart',
    breaks: 'No two writes in flight touch the same block, blocks prepared ahead included.',
    file: `${SEGMENTED}/preparation.ts`,
    find: 'return preparing === undefined || end <= preparing.start || start >= preparing.end;',
    replace: 'return preparing === undefined || start <= end;',
  },
  {
    name: 'arena-reused-early',
    scenario: 'groups',
    breaks: 'Memory that is lent to the backend is not written again before the write has completed.',
    file: `${SEGMENTED}/segment-writer.ts`,
    find: `    const alone = durable && !segment.dirty;
    yield* ioSteps.write(`,
    replace: `    const alone = durable && !segment.dirty;
    this.#arena.release(extent);
    extent.chunk.lent++;
    extent.chunk.end = extent.chunk.start = 0;
    yield* ioSteps.write(`,
  },
  {
    name: 'freed-name-not-durable',
    scenario: 'freed-name-durable-before-overwritten',
    breaks: 'The name of a freed file is durable before a byte of it is overwritten.',
    file: `${SEGMENTED}/segment-stock.ts`,
    find: 'this.#renamed.push(name);',
    replace: 'this.#free.push(name);',
    also: {
      file: `${SEGMENTED}/segment-stock.ts`,
      find: '      yield* ioSteps.syncDirectory(io, directory);\n',
      replace: '',
    },
  },
  {
    name: 'file-with-two-names',
    scenario: 'freed-name-durable-before-overwritten',
    breaks: 'That a freed file is taken for the next segment is durable before it gets the name of that segment.',
    file: `${SEGMENTED}/segment-stock.ts`,
    find: '      yield* ioSteps.syncDirectory(io, directory);\n',
    replace: '',
  },
  {
    name: 'removed-before-checkpoint',
    scenario: 'checkpoint-before-removal',
    breaks: 'The first kept segment is durable in the checkpoint before older files go.',
    file: `${SEGMENTED}/truncation.ts`,
    find: '      yield* this.#store({ ...this.#checkpoint, firstSegment: kept });\n',
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
    name: 'parents-not-synced',
    scenario: 'directories-made-durable',
    breaks: 'A directory that is created has its parent synced.',
    file: `${SEGMENTED}/log-directory.ts`,
    find: '    yield* ioSteps.syncDirectory(io, parent);\n  } catch (error) {',
    replace: '    yield* [];\n  } catch (error) {',
  },
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
    replace: `yield io.submitTruncate(file, scanner.end);
  const behind = yield* lookBehind(io, file, readable, scanner.end);`,
  },
  {
    name: 'zeros-end-the-log',
    breaks: 'Behind zeros, too, evidence decides between the end of the log and a hole.',
    file: `${SEGMENTED}/hole.ts`,
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
    find: '  yield* ioSteps.syncDirectory(world.io, settings.directory);\n  yield* removeAll(world, leftovers);',
    replace: '  yield* removeAll(world, leftovers);',
    also: {
      file: `${SEGMENTED}/recovery.ts`,
      find: 'yield* closingOnFailure(world, active, ioSteps.syncDirectory(world.io, settings.directory));',
      replace: '',
    },
  },
];
