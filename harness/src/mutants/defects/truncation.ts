import type { Defect } from '../defect.js';
import { SEGMENTED } from './folders.js';

/** Defects in freeing segments and in what says where a log begins. */
export const TRUNCATION_DEFECTS: readonly Defect[] = [
  {
    name: 'freed-name-not-durable',
    scenario: 'checkpoint-before-removal',
    breaks: 'The name of a freed file is durable before a byte of it is overwritten.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: 'this.#renamed.push(name);',
    replace: 'this.#free.push(name);',
    also: {
      file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
      find: '    yield* this.#directorySync.sync();\n',
      replace: '',
    },
  },
  {
    name: 'file-with-two-names',
    scenario: 'checkpoint-before-removal',
    breaks: 'The removal of the free name of a file is durable before the file gets the name of a segment.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: '    yield* this.#directorySync.sync();\n',
    replace: '',
  },
  {
    name: 'removed-before-checkpoint',
    scenario: 'checkpoint-before-removal',
    breaks: 'The first kept segment is durable in the checkpoint before older files are removed.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: '        yield* this.#store.change({ ...store.current, firstSegment: noted, expiredLsn, unsettled });\n',
    replace: '',
  },
  {
    name: 'checkpoint-not-synced',
    scenario: 'checkpoint-before-removal',
    breaks: 'The checkpoint is replaced atomically: written and synced before it is renamed.',
    file: 'packages/storage-io/src/routines/small-files.ts',
    find: '    yield* datasync(io, file);\n',
    replace: '',
  },
  {
    name: 'recycled-while-mapped',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A freed file is recycled only under an exclusive lock, which is refused while it is mapped.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: "!io.lockFile(file, 'exclusive') || ",
    replace: "(io.lockFile(file, 'exclusive'), false) || ",
  },
  {
    name: 'recycled-under-another-name',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A file is recycled only when it is known to have no other name.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: 'io.links?.(file) === 1;',
    replace: 'io.links?.(file) !== 0;',
  },
  {
    name: 'recycled-from-an-earlier-opening',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks:
      'A file that an earlier opening of the log has written is not recycled: writes of a killed process may land in it.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: '!fileLocks || header.number < this.#firstOwn',
    replace: '!fileLocks || header.number < this.#firstOwn - 1_000_000',
  },
  {
    name: 'cut-not-durable',
    scenario: 'truncate-after',
    breaks: 'A cut is done when the name of the segment behind it is durable.',
    file: `${SEGMENTED}/write/allocation/segment-files.ts`,
    find: '    yield* this.#directorySync.sync();\n    this.#failure.throwIfFailed();\n',
    replace: '    this.#failure.throwIfFailed();\n',
  },
  {
    name: 'superseded-removed-before-the-new-name',
    scenario: 'reset-to',
    breaks: 'Superseded segments are removed only when the name of the segment that supersedes them is durable.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: '    const superseded = yield* this.#restartAt(lsn, 0, { ...linkBehind(newest), predecessor: undefined }, []);\n',
    replace: `    yield* this.#removal.remove([...writer.sealed]);
    const superseded = (yield* this.#restartAt(lsn, 0, { ...linkBehind(newest), predecessor: undefined }, [])).slice(-1);
`,
  },
  {
    name: 'checkpoint-not-lowered-first',
    scenario: 'checkpoint-lowered-first',
    breaks: 'A checkpoint that is ahead is lowered durably before the log is cut.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: 'const lowered = loweredTo(firstLsn - 1, before);',
    replace: 'const lowered = before;',
  },
  {
    name: 'append-during-a-blocking-cut',
    test: 'packages/segmented/test/callbacks.test.ts',
    breaks: 'Nothing is appended while the end of the log is cut off, however the cut is driven.',
    file: `${SEGMENTED}/retention/cuts.ts`,
    find: `  runSync<T>(nextLsn: Lsn, cut: () => T): T {
    this.#nextLsns.push(nextLsn);
    try {
      return cut();
    } finally {
      this.#nextLsns.splice(this.#nextLsns.indexOf(nextLsn), 1);
    }
  }`,
    replace: `  runSync<T>(_nextLsn: Lsn, cut: () => T): T {
    return cut();
  }`,
  },
  {
    name: 'called-in-the-middle-of-a-step',
    test: 'packages/segmented/test/callbacks.test.ts',
    breaks: 'Functions of the application are called between the steps of routines, and may call anything.',
    file: 'packages/storage-io/src/routines/steps-under-way.ts',
    find: `  waiting.push(call);
  if (depth === 0) makeCallsInTurn();`,
    replace: '  call();',
  },
  {
    name: 'lowered-before-there-is-room',
    test: 'packages/segmented/test/full-disk.test.ts',
    breaks: 'A cut for which there is no room has changed nothing.',
    file: `${SEGMENTED}/write/restart.ts`,
    find: `    try {
      yield* this.#files.createWithReserve(next);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : failure.fail(error);
    }
    yield* closingOnFailure(environment, next, this.#nameInstead(next, note));`,
    replace: `    yield* note();
    try {
      yield* this.#files.createWithReserve(next);
    } catch (error) {
      throw WalError.is(error, 'WAL_NO_SPACE') ? error : failure.fail(error);
    }
    yield* this.#nameInstead(next, function* () {});`,
  },
  {
    name: 'reserve-released-beside-a-roll',
    test: 'packages/segmented/test/release-reserve.test.ts',
    breaks: 'The preallocated segment is made, used and released by one routine at a time.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: 'return yield* this.#queue.join(() => this.#releasePrepared());',
    replace: 'return yield* this.#releasePrepared();',
  },
  {
    name: 'draft-in-the-way',
    test: 'packages/segmented/test/unremovable-next-segment.test.ts',
    breaks: 'A next.seg that could not be removed when it was discarded does not prevent the next segment.',
    file: `${SEGMENTED}/segments/segment-file.ts`,
    find: "if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;",
    replace: "if (!WalError.is(error) || error.systemCode !== 'ENOENT') throw error;",
  },
  {
    name: 'hold-forgotten',
    scenario: 'holds',
    breaks: 'No truncation removes what a hold keeps.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: 'return Math.min(lsn, ...Object.values(this.#claims));',
    replace: 'return lsn;',
  },
  {
    name: 'lsn-of-before-the-cut',
    test: 'packages/segmented/test/cuts-under-way.test.ts',
    breaks:
      'A call accepts no LSN that a cut in progress drops: it belongs to another record when the turn of the call comes.',
    file: `${SEGMENTED}/retention/cuts.ts`,
    find: 'return Math.min(nextLsn, ...this.#nextLsns);',
    replace: 'return nextLsn;',
  },
  {
    name: 'reader-not-called-again',
    test: 'packages/segmented/test/keep-for.test.ts',
    breaks: 'A reader that begins while a truncation is in progress keeps what it needs.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: 'number = Math.min(noted, firstKept());',
    replace: 'number = noted;',
  },
  {
    name: 'hold-without-what-is-before-it',
    scenario: 'holds',
    breaks: 'What stands before a hold is durable.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: '    if (lsn - 1 > this.#writer.durableLsn) yield* this.#writeQueue.join(() => this.#writer.sync());\n',
    replace: '',
  },
  {
    name: 'hold-not-durable',
    scenario: 'holds',
    breaks: 'A hold is durable on return.',
    file: `${SEGMENTED}/retention/checkpoint-store.ts`,
    find: '    yield* this.#writer.directorySync.sync();\n',
    replace: '',
  },
  {
    name: 'retention-whatever-the-size',
    scenario: 'retention',
    breaks: 'Retention removes a segment only while the log with it is larger than `retainBytes`.',
    file: `${SEGMENTED}/retention/retention.ts`,
    find: 'const tooMuch = bytes > (rules.retainBytes ?? Number.POSITIVE_INFINITY);',
    replace: 'const tooMuch = rules.retainBytes !== undefined;',
  },
  {
    name: 'retention-past-the-checkpoint',
    scenario: 'retention',
    breaks: 'Retention drops nothing above the checkpoint.',
    file: `${SEGMENTED}/retention/retention.ts`,
    find: 'const behindCheckpoint = retainUntilCheckpoint ? checkpointLsn + 1 : Number.POSITIVE_INFINITY;',
    replace: 'const behindCheckpoint = (retainUntilCheckpoint ? Number.POSITIVE_INFINITY : checkpointLsn) + 1;',
  },
  {
    name: 'segment-id-kept-on-reuse',
    scenario: 'recycled-behind-a-cut',
    breaks: 'A reused file gets a new segment id.',
    file: `${SEGMENTED}/write/segment-chain.ts`,
    find: 'segmentId: newId(this.#environment) }',
    replace: 'segmentId: this.logId }',
    also: {
      file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
      find: 'if (next.earlierSeed === segmentSeed(header.segmentId)) {',
      replace: 'if (next.earlierSeed === -segmentSeed(header.segmentId) - 1) {',
    },
  },
  {
    name: 'lowered-and-not-put-back',
    test: 'packages/segmented/test/full-disk.test.ts',
    breaks: 'A cut that finds no room for a name restores the checkpoint and the holds that it has lowered.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: 'if (this.#store.current !== before && this.#writer.failure === undefined) yield* this.#restoreCheckpoint(before);',
    replace: '',
  },
  {
    name: 'hold-below-the-log',
    test: 'packages/segmented/test/full-disk.test.ts',
    breaks: 'A hold from before the first LSN of the log counts as one on the first LSN.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: 'return mapHolds(this.#store.current.holds, (lsn) => Math.max(lsn, firstLsn));',
    replace: 'return mapHolds(this.#store.current.holds, (lsn) => (firstLsn < 0 ? firstLsn : lsn));',
  },
  {
    name: 'file-that-stays-ends-removal',
    test: 'packages/segmented/test/unremovable.test.ts',
    breaks: 'A file that cannot be removed is tried again later, and does not prevent the removal of others.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: "return (yield* removeIfPossible(this.#environment.io, path)) ? 'removed' : 'left';",
    replace: `if (yield* removeIfPossible(this.#environment.io, path)) return 'removed';
    throw new Error(path);`,
  },
  {
    name: 'truncation-that-does-nothing',
    scenario: 'truncate-part',
    breaks: 'Truncation removes the segments that contain only records that are not needed.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: '      first === undefined || first.header.number >= firstKept()\n',
    replace: '      first === undefined || firstKept() !== -1\n',
  },
  {
    name: 'reader-without-a-number-keeps-nothing',
    test: 'packages/segmented/test/keep-for.test.ts',
    breaks: 'A reader that does not return which LSN it needs keeps everything.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: "return checkInteger('needed()', needed());",
    replace: 'return needed() ?? checkInteger;',
  },
  {
    name: 'same-checkpoint-not-made-durable',
    test: 'packages/segmented/test/checkpoint-again.test.ts',
    breaks: 'A hold that changes nothing of a checkpoint that is not durable makes it durable.',
    file: `${SEGMENTED}/retention/checkpoint-store.ts`,
    find: 'if (sameCheckpoint(checkpoint, this.#current)) yield* this.ensureDurable();',
    replace: 'if (sameCheckpoint(checkpoint, this.#current)) return;',
  },
  {
    name: 'free-files-numbered-behind-any-name',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A free file with a number of any length does not prevent others from being freed.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: '    this.#found = new Set(free);\n',
    replace: `    this.#found = new Set(free);
    for (const name of free) this.#nextFreeNumber = Math.max(this.#nextFreeNumber, Number(name.slice(5, -4)) + 1);
`,
  },
  {
    name: 'directory-taken-for-a-free-file',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A directory is not made a segment, whatever its name.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: "      if (io.stat(path).kind !== 'file') return false;\n",
    replace: '',
  },
  {
    name: 'missing-free-file-is-a-failure',
    test: 'packages/segmented/test/recycling.test.ts',
    breaks: 'A free file that is missing is skipped.',
    file: `${SEGMENTED}/write/allocation/segment-allocator.ts`,
    find: '      if (isFailureOfFile(error)) return false;\n',
    replace: '',
  },
  {
    name: 'files-left-open-by-a-truncation-that-stays',
    test: 'packages/segmented/test/given-up-truncation.test.ts',
    breaks: 'Closing leaves no file open where it cannot end a truncation that was given up.',
    file: `${SEGMENTED}/closing.ts`,
    find: '      yield* this.#parts.writer.releaseFiles();\n',
    replace: '',
  },
  {
    name: 'removal-of-a-follower-not-made-durable-later',
    test: 'packages/segmented/test/unsettled-truncation.test.ts',
    breaks: 'A follower whose removal has failed is removed durably by the next call.',
    file: `${SEGMENTED}/followers/followers.ts`,
    find: '      if (left?.length === 0) yield* ioSteps.syncDirectory(io, directory);\n',
    replace: '',
  },
  {
    name: 'emptied-only-with-room-for-a-segment',
    test: 'packages/segmented/test/emptied-without-room.test.ts',
    breaks: 'A log that is emptied on a full disk removes what is sealed, which makes room for its next segment.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: '    yield* writer.reserve.restore();\n    const { firstLsn } = writer;\n    yield* drop();\n',
    replace: '    const { firstLsn } = writer;\n',
  },
  {
    name: 'emptied-by-what-waits-first',
    test: 'packages/segmented/test/goes-on-with-room.test.ts',
    breaks:
      'A log that is emptied while records wait for room removes what is sealed before the reserve is used for them.',
    file: `${SEGMENTED}/retention/truncation.ts`,
    find: '    if (writer.noSpace === undefined && (yield* this.#hasRoom(roll))) {',
    replace: '    yield* roll();\n    if (yield* this.#hasRoom(roll)) {',
  },
  {
    name: 'dropped-records-lost-within-a-cut',
    test: 'packages/wal/test/follow-beside-cuts.test.ts',
    breaks: 'What a cut in progress drops is not lost for a follower that begins before the cut is done.',
    file: `${SEGMENTED}/write/calls/background-calls.ts`,
    find: 'return Math.min(durableLsn, this.#cuts.endOfKept(nextLsn) - 1);',
    replace: 'return Math.min(durableLsn, nextLsn - 1);',
  },
];
