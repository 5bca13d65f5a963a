import type { Defect } from '../defect.js';
import { SEGMENTED, STORAGE_IO } from './folders.js';

/** Defects in writing groups and in what is called durable. */
export const GROUPS_DEFECTS: readonly Defect[] = [
  {
    name: 'groups-go-on-after-a-failure',
    scenario: 'failures-beside-other-work',
    breaks: 'A failure is final for the writes that were in flight beside it, too.',
    file: `${SEGMENTED}/write/final-failure.ts`,
    find: '    this.#stop();\n',
    replace: '',
  },
  {
    name: 'durable-from-newest',
    scenario: 'contiguous-durable-prefix',
    breaks: 'The durable prefix is contiguous: it never jumps over a write that has not completed.',
    file: `${SEGMENTED}/write/pipeline.ts`,
    find: 'while (this.#items[0]?.done === true) this.#items.shift()?.apply();',
    replace: `for (const item of [...this.#items]) {
      if (!item.done) continue;
      this.#items.splice(this.#items.indexOf(item), 1);
      item.apply();
    }`,
  },
  {
    name: 'acknowledged-at-submission',
    scenario: 'groups',
    breaks: 'Nothing is acknowledged before its write has completed.',
    file: `${SEGMENTED}/write/durable-group-writer.ts`,
    find: '    this.#pipeline.when(\n      () => this.#watermarks.isDurable(end),\n',
    replace:
      '    this.#watermarks.durableLsn = Math.max(this.#watermarks.durableLsn, end.lastLsn);\n    this.#pipeline.when(\n      () => true,\n',
  },
  {
    name: 'no-datasync',
    scenario: 'single-commits',
    breaks: 'A sync makes durable what was written.',
    file: `${SEGMENTED}/write/durable-group-writer.ts`,
    find: 'if (segment?.dirty === true) yield* this.#files.datasync(segment);',
    replace: 'if (segment !== undefined) segment.dirty = false;',
  },
  {
    name: 'failed-sync-retried',
    scenario: 'written-again-at-recovery',
    breaks: 'A sync that failed is final: a later one that succeeds proves nothing.',
    file: `${SEGMENTED}/write/allocation/segment-files.ts`,
    find: `    yield* ioSteps.datasync(this.#environment.io, fileOf(segment));
    segment.dirty = false;`,
    replace: `    try {
      yield* ioSteps.datasync(this.#environment.io, fileOf(segment));
    } catch {
      yield* ioSteps.datasync(this.#environment.io, fileOf(segment));
    }
    segment.dirty = false;`,
  },
  {
    name: 'lag-from-written',
    scenario: 'flushes',
    breaks: 'The lag of a record counts from the highest LSN known durable, not from what was written or appended.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: 'writeRecordHeader(view, offset, frameBytes, lsn, type, watermarks.durableLsn,',
    replace: 'writeRecordHeader(view, offset, frameBytes, lsn, type, lsn - 1,',
  },
  {
    name: 'mark-before-durable',
    scenario: 'mark-only-when-all-durable',
    breaks: 'A mark is written only when the durable LSN is the last one appended.',
    file: `${SEGMENTED}/write/mark-writer.ts`,
    find: 'return chain.active === chain.named && watermarks.isEverythingDurable ? chain.active : undefined;',
    replace: 'return chain.active === chain.named ? chain.active : undefined;',
  },
  {
    name: 'mark-without-room',
    test: 'packages/segmented/test/mark-without-room.test.ts',
    breaks: 'A mark that finds no room does not fail the log.',
    file: `${SEGMENTED}/write/allocation/blocks.ts`,
    find: 'if (segment.file === undefined || from >= limit) return true;',
    replace: 'if (segment.file === undefined || from >= 0) return true;',
  },
  {
    name: 'room-given-up-meanwhile-not-tried',
    test: 'packages/segmented/test/release-reserve.test.ts',
    breaks: 'A checkpoint tries the room again that a preparation beside it has given up.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: '      if (this.#next !== undefined) this.#gaveWay = true;\n',
    replace: '',
  },
  {
    name: 'clock-of-a-mark-fails-the-log',
    test: 'packages/segmented/test/throwing-clock.test.ts',
    breaks: 'What the clock throws for a mark does not fail the log.',
    file: `${SEGMENTED}/write/mark-writer.ts`,
    find: '    } catch {\n      return Number.NaN;\n    }',
    replace: '    } finally {\n    }',
  },
  {
    name: 'appended-by-the-clock',
    test: 'packages/segmented/test/appending-clock.test.ts',
    breaks: 'A record or batch has the LSNs that were next before the clock of the log was called.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: 'if (nextLsn !== lsn || present !== generation) throw',
    replace: 'if (nextLsn < lsn || present !== generation) throw',
  },
  {
    name: 'segment-planned-before-the-clock',
    test: 'packages/segmented/test/appending-clock.test.ts',
    breaks: 'A segment begins behind what the clock of the log appends while the segment is planned.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: '    return this.#planned(identity, this.#watermarks.nextLsn,',
    replace: '    return this.#planned(identity, nextLsn,',
    also: {
      file: `${SEGMENTED}/write/segment-chain.ts`,
      find: '    const identity = this.#newIdentity();\n',
      replace: '    const { nextLsn } = this.#watermarks;\n    const identity = this.#newIdentity();\n',
    },
  },
  {
    name: 'append-in-an-append-shares-its-record',
    test: 'packages/segmented/test/appending-clock.test.ts',
    breaks: 'An append that the clock makes does not change the record during which it is made.',
    file: `${SEGMENTED}/segmented-wal.ts`,
    find: '    this.#body = undefined;\n',
    replace: '    this.#body = body;\n',
  },
  {
    name: 'batch-that-grows-while-it-is-encoded',
    test: 'packages/segmented/test/appending-clock.test.ts',
    breaks: 'A batch is encoded with the records that it had when its LSNs were determined.',
    file: `${SEGMENTED}/append/record-encoder.ts`,
    find: '    if (given.length !== length) throw appendedMeanwhile(this.#settings.directory);\n',
    replace: '',
  },
  {
    name: 'arena-reused-early',
    scenario: 'groups',
    breaks: 'Memory that is lent to the backend is not written again before the write has completed.',
    file: `${SEGMENTED}/write/durable-group-writer.ts`,
    find: '    ioSteps.startWrite(this.#router, file, bytes,',
    replace: `    this.#arena.release(extent);
    extent.chunk.lent++;
    extent.chunk.end = extent.chunk.start = 0;
    ioSteps.startWrite(this.#router, file, bytes,`,
  },
  {
    name: 'flush-that-writes-nothing',
    scenario: 'runs-without-close',
    breaks: 'What was flushed survives the death of the process.',
    file: `${SEGMENTED}/write/calls/sync-calls.ts`,
    find: '    yield* this.#fullDisk.findRoom();\n    yield* this.#writer.flush();\n  }',
    replace: '    yield* this.#fullDisk.findRoom();\n  }',
  },
  {
    name: 'durable-behind-flushed',
    scenario: 'flushes',
    breaks: 'A durable write does not make earlier writes durable.',
    file: `${SEGMENTED}/write/durable-group-writer.ts`,
    find: 'const alone = toSync && !segment.dirty && this',
    replace: 'const alone = toSync && this',
    also: {
      file: `${SEGMENTED}/write/durable-group-writer.ts`,
      find: 'const alone = this.#isPipelined && this.#chain.current?.dirty !== true;',
      replace: 'const alone = this.#isPipelined;',
    },
  },
  {
    name: 'directory-sync-joined-while-under-way',
    scenario: 'names-beside-each-other',
    breaks:
      'A sync of the directory covers the names that were made before it began, and none that were made while it ran.',
    file: `${SEGMENTED}/segments/directory-sync.ts`,
    find: 'yield* this.#queue.join(() => this.#sync());',
    replace: 'yield* this.#queue.join(this.#queue.idle ? () => this.#sync() : function* () {});',
  },
  {
    name: 'failed-directory-sync-forgotten',
    test: 'packages/segmented/test/directory-sync.test.ts',
    breaks: 'A sync of the directory that failed is final: it may have dropped names that a later one does not write.',
    file: `${SEGMENTED}/segments/directory-sync.ts`,
    find: '      this.#failure = this.#fail(error);\n      throw this.#failure;\n',
    replace: '      throw this.#fail(error);\n',
  },
  {
    name: 'log-goes-on-without-names',
    test: 'packages/segmented/test/directory-sync.test.ts',
    breaks: 'A log of which no name can be made durable any more has failed, also where a lack of room is no failure.',
    file: `${SEGMENTED}/segments/directory-sync.ts`,
    find: 'this.#failure = this.#fail(error);',
    replace: 'this.#failure = error as WalError;',
  },
  {
    name: 'chunk-reused-while-lent',
    scenario: 'large-groups',
    breaks: 'Memory that is lent to the backend is not used for other records, whatever its size.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'if (chunk.lent > 0 || chunk.end > chunk.start) return;',
    replace: 'if (chunk.end > chunk.start) return;',
  },
  {
    name: 'block-in-flight-written-again',
    scenario: 'blocks-in-flight-apart',
    breaks: 'A group that begins while the block with the end of the last one is in flight begins in the next block.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'chunk.tail = limit > end ? extent : undefined;',
    replace: 'chunk.tail = undefined;',
  },
  {
    name: 'block-written-again-with-zeros-in-front',
    scenario: 'single-commits',
    breaks: 'A block that is written again keeps the bytes in front.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'if (limit > end) chunk.bytes.fill(0, end, limit);',
    replace: 'if (limit > end) chunk.bytes.fill(0, end, limit);\n    chunk.bytes.fill(0, first, start);',
  },
  {
    name: 'earlier-memory-behind-the-last-frame',
    test: 'packages/segmented/test/packed-groups.test.ts',
    breaks: 'Zeros follow the last frame of a write to the end of its block.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'if (limit > end) chunk.bytes.fill(0, end, limit);',
    replace: 'if (limit > end) chunk.bytes.fill(0, end, end);',
  },
  {
    name: 'beginning-prepared-beside-the-first-group',
    scenario: 'single-commits',
    breaks: 'The beginning of a segment is prepared before anything is written to it, and not beside that.',
    file: `${SEGMENTED}/write/durable-group-writer.ts`,
    find: `        if (!extent.segment.isBegun) yield* this.#begin(extent, toSync);
        this.#startWrite(extent, toSync);
`,
    replace: `        const { isBegun } = extent.segment;
        this.#startWrite(extent, toSync);
        if (!isBegun) yield* this.#begin({ ...extent, position: extent.position - 1 }, toSync);
`,
  },
  {
    name: 'next-file-taken-while-it-is-prepared',
    scenario: 'prepared-segments',
    breaks: 'A file that is being prepared is not taken before the zeros under way are written.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: '    yield* this.#untilPrepared();\n    this.#noSpace = false;\n',
    replace: '    this.#noSpace = false;\n',
  },
  {
    name: 'left-for-a-segment-that-is-not-ready',
    test: 'packages/segmented/test/preparation.test.ts',
    breaks: 'A segment is written on until the next one is ready.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: 'if (this.#next?.isReady !== true || segment.file === undefined) return false;',
    replace: 'if (segment.file === undefined) return false;',
  },
  {
    name: 'prepared-for-large-groups',
    test: 'packages/segmented/test/preparation.test.ts',
    breaks: 'Nothing is prepared for groups so large that it costs more than a file that grows.',
    file: `${SEGMENTED}/write/allocation/preparation-pace.ts`,
    find: 'return this.#isOff || this.#groupBytes > SMALL_GROUP_BYTES;',
    replace: 'return this.#isOff;',
  },
  {
    name: 'next-segments-of-one-length',
    test: 'packages/segmented/test/preparation.test.ts',
    breaks: 'Each next segment is longer, up to segmentBytes.',
    file: `${SEGMENTED}/write/allocation/preparation-pace.ts`,
    find: 'this.#target * GROWTH);\n  }\n',
    replace: 'this.#target);\n  }\n',
  },
  {
    name: 'follows-beyond-the-segment',
    test: 'packages/segmented/test/segmented-wal.test.ts',
    breaks: 'Records follow on each other up to the end of the segment, and no further.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: 'if (end > preallocatedEnd && !this.#isLeftAt(segment, segmentBytes)) return segmentBytes;',
    replace: 'if (end > 0) return segmentBytes + end + preallocatedEnd;',
  },
  {
    name: 'follows-where-the-next-segment-is-ready',
    test: 'packages/segmented/test/preparation.test.ts',
    breaks: 'A segment that would have to grow is left for one that is ready, also in the middle of a group.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: 'if (end > preallocatedEnd && !this.#isLeftAt(segment, segmentBytes)) return segmentBytes;',
    replace: 'if (end > preallocatedEnd) return segmentBytes;',
  },
  {
    name: 'follows-at-the-end-of-a-block',
    test: 'packages/segmented/test/buffer-ends.test.ts',
    breaks: 'A record does not follow on another where its header would cross the end of a block.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'return frameStart(end, blockBytes) === end ? end : -1;',
    replace: 'return frameStart(end, blockBytes) >= end ? end : -1;',
  },
  {
    name: 'at-once-only-the-first-range',
    test: 'packages/segmented/test/submitted-at-once.test.ts',
    breaks: 'A group is written at once only where all of it goes to the segment that is written to.',
    file: `${SEGMENTED}/append/arena.ts`,
    find: 'return this.#closed.length === 0 && (this.#open === undefined || this.#open.segment === segment);',
    replace: 'return segment.isBegun;',
  },
  {
    name: 'at-once-behind-a-flush',
    test: 'packages/segmented/test/submitted-at-once.test.ts',
    breaks: 'Behind writes that are not durable a group is not written at once, but with a sync.',
    file: `${SEGMENTED}/write/durable-group-writer.ts`,
    find: 'if (current === undefined || !current.isBegun || current.dirty) return false;',
    replace: 'if (current === undefined || !current.isBegun) return false;\n    current.dirty = false;',
  },
  {
    name: 'short-write-counts-as-whole',
    test: 'packages/segmented/test/submitted-at-once.test.ts',
    breaks: 'A write of fewer bytes than it was given is a failure.',
    file: `${STORAGE_IO}/routines/io-operations.ts`,
    find: 'else if (result !== data.length) outcome = { error: shortWrite(io, file, data, offset, result) };',
    replace: 'else if (result > data.length) outcome = { error: shortWrite(io, file, data, offset, result) };',
  },
  {
    name: 'write-dropped-by-a-full-queue',
    test: 'packages/segmented/test/submitted-at-once.test.ts',
    breaks: 'A write that the backend has no room for is submitted when it has.',
    file: `${STORAGE_IO}/routines/io-operations.ts`,
    find: 'if (token === undefined) router.onQueueSpace(submit);',
    replace: 'if (token === undefined) return;',
  },
];
