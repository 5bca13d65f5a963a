import type { Defect } from '../defect.js';
import { READER, SEGMENTED, WAL } from './folders.js';

const LEFT_FILES_TEST = 'packages/segmented/test/truncation-left-files.test.ts';

/** Defects in what followers with a name store, and in what a truncation keeps for them. */
export const FOLLOWERS_DEFECTS: readonly Defect[] = [
  {
    name: 'followers-not-read-behind-the-announcement',
    scenario: 'followers',
    breaks:
      'A truncation looks for followers again behind its announcement: one that came between holds what it needs.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: '        yield* this.#followers.read();\n',
    replace: '',
  },
  {
    name: 'announcement-not-undone',
    scenario: 'followers',
    breaks: 'A crash undoes a truncation that is announced and not settled: a follower that came before it is held.',
    file: `${READER}/chain/chain.ts`,
    find: 'isEnough(oldest) ? undefined : yield* unsettledLinks(',
    replace: 'true ? undefined : yield* unsettledLinks(',
  },
  {
    name: 'announcement-not-seen',
    test: 'packages/wal/test/named-beside-truncation.test.ts',
    breaks:
      'A follower that begins looks at what is announced to be removed: only what is behind it is kept for certain.',
    file: `${WAL}/follow/named/named-position.ts`,
    find: '{ countsAnnounced: true }',
    replace: '{ countsAnnounced: false }',
  },
  {
    name: 'follower-in-vain-does-not-expire',
    test: 'packages/wal/test/named-beside-truncation.test.ts',
    breaks: 'A follower that is opened again and again, and never returns an event, expires all the same.',
    file: `${WAL}/follow/named/named-position.ts`,
    find: 'file.putBack(before)',
    replace: 'file.putBack({ ...before, storedAtMs: this.#log.now() })',
  },
  {
    name: 'given-up-truncation-is-written-again',
    scenario: 'followers',
    breaks: 'What is stored next does not announce a truncation that was given up, as there was no room to store that.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: 'if (this.#writer.failure === undefined && store.current.unsettled === unsettled) store.takeBack();',
    replace: '',
  },
  {
    name: 'given-up-truncation-stays-announced',
    scenario: 'followers',
    breaks: 'A truncation that was given up without room to store that is stored as given up as soon as there is room.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: '      yield* this.takeBack();\n      return yield* this.#removal.remove([]);\n',
    replace: '      return yield* this.#removal.remove([]);\n',
  },
  {
    name: 'closed-with-a-given-up-truncation',
    test: 'packages/segmented/test/given-up-truncation.test.ts',
    breaks: 'A log that is closed does not announce a truncation that was given up.',
    file: `${SEGMENTED}/closing.ts`,
    find: '      yield* this.#takeBack();\n',
    replace: '',
  },
  {
    name: 'opened-with-a-given-up-truncation',
    test: 'packages/segmented/test/given-up-truncation.test.ts',
    breaks: 'Opening a log stores that a truncation is given up which was announced and is not done.',
    file: `${SEGMENTED}/recovery/recover.ts`,
    find: '!cleanlyClosed || leftovers.length > 0 || isStale;',
    replace: '!cleanlyClosed || leftovers.length > 0 || (isStale && !cleanlyClosed);',
  },
  {
    name: 'backup-without-what-is-announced',
    test: 'packages/segmented/test/unsettled-truncation.test.ts',
    breaks: 'A backup has what a truncation has only announced to remove.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: 'return isDone ? settled(current) : withoutUnsettled(current);',
    replace: 'return isDone ? settled(current) : settled(current);',
  },
  {
    name: 'truncation-undone-when-files-are-gone',
    test: 'packages/segmented/test/unsettled-truncation.test.ts',
    breaks: 'A truncation is done as soon as one of its files is gone.',
    file: `${READER}/chain/chain.ts`,
    find: 'if (name === undefined || name.number < firstSegment) return undefined;',
    replace: 'if (name === undefined || name.number < firstSegment) return links;',
  },
  {
    name: 'truncation-with-files-left-is-undone',
    test: 'packages/segmented/test/unsettled-truncation.test.ts',
    breaks: 'What was truncated does not come back, also where no file of it could be removed.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: '    if (result.segmentsLeft > 0) yield* this.#noteSettled(areAllLeft);\n',
    replace: '',
  },
  {
    name: 'truncation-that-is-done-taken-back',
    test: LEFT_FILES_TEST,
    breaks: 'A truncation that finds no room takes back its own announcement, and none whose files are gone.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: 'if (this.#writer.failure === undefined && store.current.unsettled === unsettled) store.takeBack();',
    replace: 'if (this.#writer.failure === undefined) store.takeBack();',
    also: {
      file: `${SEGMENTED}/retention/beginning-of-log.ts`,
      find: 'this.#store.settle(!areAllLeft);',
      replace: 'if (result.segmentsLeft === 0) this.#store.settle(true);',
    },
  },
  {
    name: 'truncation-that-is-done-rejects-without-room',
    test: LEFT_FILES_TEST,
    breaks: 'A truncation whose files are gone does not need room to note that.',
    file: `${SEGMENTED}/retention/beginning-of-log.ts`,
    find: "if (isNeeded || !WalError.is(error, 'WAL_NO_SPACE')) throw error;",
    replace: 'throw error;',
  },
  {
    name: 'truncation-without-any-removal-not-noted-later',
    test: LEFT_FILES_TEST,
    breaks: 'A truncation that could remove no file and had no room to be noted is noted by the next call.',
    file: `${SEGMENTED}/retention/checkpoint-store.ts`,
    find: '    if (!isGone) this.#mustReplace();\n',
    replace: '',
  },
  {
    name: 'position-relied-on-before-it-is-durable',
    test: 'packages/segmented/test/unsettled-truncation.test.ts',
    breaks: 'A truncation relies only on positions of followers that are durable.',
    file: `${SEGMENTED}/followers/needed-lsns.ts`,
    find: 'first === undefined || second === undefined ? undefined : Math.min(first, second)',
    replace: 'first === undefined || second === undefined ? undefined : Math.max(first, second)',
  },
  {
    name: 'position-confirmed-before-it-is-durable',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'A position is written into the second slot when it is durable in the first one.',
    file: `${WAL}/follow/named/slot-file.ts`,
    find: '    yield* ioSteps.write(this.#io, file, bytes, index * FOLLOWER_SLOT_BYTES);\n    yield* ioSteps.datasync(this.#io, file);\n',
    replace: `    yield* ioSteps.write(this.#io, file, bytes, index * FOLLOWER_SLOT_BYTES);
    if (this.#number % 2 === 0) yield* ioSteps.datasync(this.#io, file);
`,
  },
  {
    name: 'position-written-over-the-durable-one',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'A position is not written over the only one that is durable.',
    file: `${WAL}/follow/named/slot-file.ts`,
    find: '      this.#durableAt = 1 - before;\n',
    replace: '',
  },
  {
    name: 'position-in-the-file-of-the-killed',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'A process that takes a name makes its file anew: a write of a killed process lands in the earlier one.',
    file: `${WAL}/follow/named/slot-file.ts`,
    find: '    if (!(yield* this.#makeOfSpare(bytes))) yield* replaceFile(this.#io, draft, file, bytes, this.#mode);\n',
    replace: `    const present = this.#open();
    if (present !== undefined) {
      try {
        yield* ioSteps.write(this.#io, present, bytes, 0);
        yield* ioSteps.datasync(this.#io, present);
      } finally {
        closeFile(this.#io, present);
      }
    } else if (!(yield* this.#makeOfSpare(bytes))) yield* replaceFile(this.#io, draft, file, bytes, this.#mode);
`,
  },
  {
    name: 'no-spare-for-the-next-process',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'A follower that is opened again on a full disk has the room for its file.',
    file: `${WAL}/follow/named/slot-file.ts`,
    find: '    yield* this.#makeSpare();\n',
    replace: '    if (this.#number === 0) yield* this.#makeSpare();\n',
  },
  {
    name: 'going-back-forgets-the-position',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'What is stored under a name stays until a follower that begins elsewhere has found its first event.',
    file: `${WAL}/follow/named/position-file.ts`,
    find: 'older: before ?? newer, newer',
    replace: 'older: newer, newer',
  },
  {
    name: 'acknowledged-while-it-is-decoded',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'Acknowledging from a decoder does not cover the event that is being decoded.',
    file: `${WAL}/follow/named/named-position.ts`,
    find: 'if (this.#taking > 0 || this.#acknowledged < this.#returned) return;',
    replace: 'if (this.#acknowledged < this.#returned) return;',
  },
  {
    name: 'renewed-with-the-position-only',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'An open follower says every ten seconds that it is there, however rarely it stores.',
    file: `${WAL}/follow/named/named-position.ts`,
    find: 'const ms = Math.min(RENEW_MS, left > 0 ? left : everyMs);',
    replace: 'const ms = left > 0 ? left : everyMs;',
  },
  {
    name: 'shutdown-drops-positions',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'Shutting a log down stores what storeEvery has acknowledged.',
    file: `${WAL}/shutdown.ts`,
    find: '    await this.#followers.storePositions();\n',
    replace: '',
  },
  {
    name: 'link-to-nothing-is-no-follower',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'A link to nothing in place of the followers, or of the file of one, keeps everything.',
    file: `${SEGMENTED}/followers/follower-files.ts`,
    find: 'return !io.list(directory).includes(name);',
    replace: 'return io.list(directory).length >= 0 || name === undefined;',
  },
  {
    name: 'follower-missed-by-a-listing',
    test: 'packages/wal/test/named-storing.test.ts',
    breaks: 'A follower that was known and is not listed is looked for by its name.',
    file: `${SEGMENTED}/followers/follower-files.ts`,
    find: 'const names = new Set(known);',
    replace: 'const names = new Set(known.slice(0, 0));',
  },
  {
    name: 'name-of-a-position-not-synced',
    scenario: 'followers',
    breaks: 'An acknowledged position of a follower is durable, its name included.',
    file: `${WAL}/follow/named/slot-file.ts`,
    find: '    yield* ioSteps.syncDirectory(this.#io, directory);\n    this.#durable = content.older;\n',
    replace: '    this.#durable = content.older;\n',
  },
  {
    name: 'unreadable-follower-holds-nothing',
    test: 'packages/wal/test/named-followers.test.ts',
    breaks: 'A follower whose file cannot be read, or is of another log, keeps everything.',
    file: `${SEGMENTED}/followers/followers.ts`,
    find: "return state === 'expired' ? Number.POSITIVE_INFINITY : lsn;",
    replace: "return state === 'holding' ? lsn : Number.POSITIVE_INFINITY;",
  },
  {
    name: 'live-follower-expires',
    test: 'packages/wal/test/named-followers.test.ts',
    breaks: 'A follower whose process is alive does not expire.',
    file: `${SEGMENTED}/followers/followers.ts`,
    find: 'const isGone = alive !== true && ageMs',
    replace: 'const isGone = ageMs',
  },
  {
    name: 'position-behind-a-cut-holds-what-replaced-it',
    test: 'packages/wal/test/named-followers.test.ts',
    breaks: 'A follower whose position was cut off holds everything from the cut on.',
    file: `${SEGMENTED}/followers/needed-lsns.ts`,
    find: "const cut = findCut(this.#writer.segments, lastReadAt('position', point));",
    replace:
      "const cut = lastReadAt('position', point).lsn < 0 ? findCut([], lastReadAt('position', point)) : undefined;",
  },
  {
    name: 'skipped-events-hold',
    test: 'packages/wal/test/named-followers.test.ts',
    breaks: 'The position of a follower covers what its filter skips.',
    file: `${WAL}/follow/named/named-position.ts`,
    find: '    this.#acknowledged = Math.max(this.#acknowledged, this.#tail?.nextLsn ?? 0);\n  }\n\n  #store',
    replace: '  }\n\n  #store',
  },
];
