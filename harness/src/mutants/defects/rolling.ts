import type { Defect } from '../defect.js';
import { SEGMENTED } from './folders.js';

/** Defects in going from one segment to the next. */
export const ROLLING_DEFECTS: readonly Defect[] = [
  {
    name: 'header-not-synced',
    scenario: 'header-before-anything-else',
    breaks: 'The header of a segment is durable before any other byte of the segment is written.',
    file: `${SEGMENTED}/segments/segment-file.ts`,
    find: `  if (io.capabilities.durableWrites) {
    yield* ioSteps.write(io, file, block, 0, { durable: true });
  } else {
    yield* ioSteps.write(io, file, block, 0);
    yield* ioSteps.datasync(io, file);
  }`,
    replace: '  yield* ioSteps.write(io, file, block, 0);',
  },
  {
    name: 'ids-in-memory-of-the-application',
    test: 'packages/segmented/test/random-bytes.test.ts',
    breaks: 'The id of a segment does not change when the next one is made.',
    file: `${SEGMENTED}/environment.ts`,
    find: '  return new Uint8Array(bytes);\n',
    replace: '  return bytes;\n',
  },
  {
    name: 'acknowledged-before-name',
    scenario: 'name-before-acknowledgement',
    breaks: 'Before the name of a segment is durable no record in it is acknowledged.',
    file: `${SEGMENTED}/write/allocation/segment-files.ts`,
    find: `    yield* this.#rename(next);
    yield* this.#directorySync.sync();
  }`,
    replace: `    yield* this.#rename(next);
  }`,
  },
  {
    name: 'named-before-predecessor-durable',
    scenario: 'sealing',
    breaks: 'All groups of a segment are durable before the next one gets its name.',
    file: `${SEGMENTED}/write/roll.ts`,
    find: `      yield* this.#failure.unless(this.#pipeline.untilWritten(() => old.isWritten));
      if (old.dirty) yield* this.#files.datasync(old);
      // The log may still go on in the old segment: its next record may begin in the same block.
      this.#watermarks.provenDurable(next.header.firstLsn - 1, positionAt(old));
      yield* this.#files.trimPreallocation(old);`,
    replace: '',
  },
  {
    name: 'block-of-the-last-record-counts-as-durable',
    scenario: 'no-room-changes-nothing',
    breaks: 'A roll that finds no room for a name moves the durable position behind no byte that is not written.',
    file: `${SEGMENTED}/write/roll.ts`,
    find: 'provenDurable(next.header.firstLsn - 1, positionAt(old));',
    replace: 'provenDurable(next.header.firstLsn - 1, next.header.firstPosition);',
  },
  {
    name: 'position-falls-with-a-plan',
    test: 'packages/segmented/test/positions.test.ts',
    breaks: 'The position of a log does not fall when there is no room for the segment that was planned.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: 'return positionAt(before !== undefined && isEmpty(active) ? before : active);',
    replace: 'return positionAt(active);',
  },
  {
    name: 'no-room-for-cutting-a-segment-is-final',
    test: 'packages/segmented/test/full-disk.test.ts',
    breaks: 'A segment that cannot be cut to its size for want of room keeps its blocks, and the log continues.',
    file: `${SEGMENTED}/write/allocation/segment-files.ts`,
    find: `      yield* cutToSize(this.#environment.io, fileOf(segment), segment.end, blockBytes);
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;`,
    replace: `      yield* cutToSize(this.#environment.io, fileOf(segment), segment.end, blockBytes);
    } catch (error) {
      throw error;`,
  },
  {
    name: 'parents-not-synced',
    scenario: 'directories-made-durable',
    breaks: 'A directory that is created has its parent synced.',
    file: 'packages/storage-io/src/routines/small-files.ts',
    find: '    yield* syncDirectory(io, parent);\n  } catch (error) {',
    replace: '    yield* [];\n  } catch (error) {',
  },
  {
    name: 'closing-that-fails',
    test: 'packages/segmented/test/closing-files.test.ts',
    breaks: 'A file that the system fails to close counts as closed, and the log continues.',
    file: 'packages/storage-io/src/routines/small-files.ts',
    find: "    if (!WalError.is(error, 'WAL_IO_FAILED') && !WalError.is(error, 'WAL_NO_SPACE')) throw error;",
    replace: '    throw error;',
  },
  {
    name: 'file-left-open-by-a-cut',
    test: 'packages/segmented/test/closing-files.test.ts',
    breaks: 'Every file is closed with the log, whichever operation has failed.',
    file: `${SEGMENTED}/write/restart.ts`,
    find: 'yield* closingOnFailure(environment, next, this.#nameInstead(next, note));',
    replace: 'yield* this.#nameInstead(next, note);',
  },
  {
    name: 'time-of-a-record-saturates',
    test: 'packages/segmented/test/long-life.test.ts',
    breaks: 'A log rolls before the time of a record exceeds what its segment can express.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: 'if (elapsedMs > ELAPSED_MS_MAX && elapsedMs <= Number.MAX_SAFE_INTEGER) return this.plan();',
    replace: '',
  },
  {
    name: 'closed-beside-groups-in-flight',
    test: 'packages/segmented/test/closing-files.test.ts',
    breaks: 'Closing a log waits for the groups in flight, whether they succeed or not.',
    file: `${SEGMENTED}/write/segment-writer.ts`,
    find: '    yield* this.#pipeline.ended();\n',
    replace: '',
  },
  {
    name: 'file-of-a-roll-left-open',
    test: 'packages/segmented/test/closing-files.test.ts',
    breaks: 'A log that fails while the next segment is made closes the file of that segment, too.',
    file: `${SEGMENTED}/write/roll.ts`,
    find: '    chain.current = next;\n    try {\n',
    replace: '    this.#failure.throwIfFailed();\n    chain.current = next;\n    try {\n',
  },
  {
    name: 'no-room-for-a-name-is-final',
    scenario: 'no-room-changes-nothing',
    breaks: 'A call that finds no room for the name of a segment changes nothing, and the log continues.',
    file: `${SEGMENTED}/write/roll.ts`,
    find: '      yield* this.#failure.guarded(this.#seal(old, next));\n      yield* this.#files.nameOrRefuse(next);\n',
    replace:
      '      yield* this.#failure.guarded(this.#seal(old, next));\n      yield* this.#failure.guarded(this.#files.name(next));\n',
  },
  {
    name: 'background-failure-reported-by-no-call',
    test: 'packages/segmented/test/failed-log.test.ts',
    breaks: 'Closing a log that has failed in the background rejects if no call has reported the failure.',
    file: `${SEGMENTED}/closing.ts`,
    find: 'this.#reported = calls.reportedReason;',
    replace: 'this.#reported = this.#parts.writer.failure;',
  },
  {
    name: 'reported-failure-reported-again',
    test: 'packages/segmented/test/failed-log.test.ts',
    breaks: 'Closing a log does not report again a failure with which a call has rejected.',
    file: `${SEGMENTED}/call-queues.ts`,
    find: '(WalError.is(error) && error.cause === reason)',
    replace: 'false',
  },
  {
    name: 'failure-of-a-submitted-sync-counts-as-reported',
    test: 'packages/segmented/test/failed-log.test.ts',
    breaks:
      'The failure of a submitted sync is not reported before a call has thrown it: closing the log rejects with it.',
    file: `${SEGMENTED}/write/calls/sync-calls.ts`,
    find: 'this.#submitFailure = ended.error;',
    replace: 'this.#submitFailure = this.#calls.reported(ended.error);',
  },
  {
    name: 'closed-as-if-durable',
    test: 'packages/segmented/test/failed-log.test.ts',
    breaks: 'Closing a log that fails while the call waits for its turn rejects when not everything is durable.',
    file: `${SEGMENTED}/closing.ts`,
    find: 'durableLsn < (discard ? takenLsn : nextLsn) - 1) throw failure;',
    replace: 'durableLsn > (discard ? takenLsn : nextLsn) - 1) throw failure;',
  },
];
