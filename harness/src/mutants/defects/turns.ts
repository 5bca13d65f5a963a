import type { Defect } from '../defect.js';
import { PERCORE, READER, SEGMENTED, STORAGE_IO, WAL } from './folders.js';

const TURNS_TEST = 'packages/storage-io/test/turns.test.ts';
const LONG_CALLS_TEST = 'packages/segmented/test/long-calls.test.ts';
const FOLLOW_TEST = 'packages/wal/test/long-calls.test.ts';
const CORES_TEST = 'packages/percore/test/long-calls.test.ts';
const REPLAY_TEST = 'packages/mmap-reader/test/replay-directory.test.ts';

/** Defects in the turns of the event loop, in signals and in progress. */
export const TURNS_DEFECTS: readonly Defect[] = [
  {
    name: 'pieces-without-a-turn',
    test: LONG_CALLS_TEST,
    breaks: 'Reading a segment gives the event loop its turn between two pieces, mapped or not.',
    file: `${READER}/frames/window-scanner.ts`,
    find: '    if (isTurnDue()) yield TURN;\n',
    replace: '    if (isTurnDue() && this.#file.isClosed) yield TURN;\n',
    also: {
      file: `${READER}/frames/segment-scanner.ts`,
      find: '      if (isTurnDue()) yield TURN;\n',
      replace: '      if (isTurnDue() && frames.stopped) yield TURN;\n',
    },
  },
  {
    name: 'records-without-a-turn',
    test: REPLAY_TEST,
    breaks: 'A callback for each record leaves the event loop its turn between two calls.',
    file: `${READER}/directory/directory-replay.ts`,
    find: '          await nextTurn();\n',
    replace: '          await undefined;\n',
  },
  {
    name: 'events-of-a-follower-without-a-turn',
    test: FOLLOW_TEST,
    breaks: 'A loop over the events of a follower leaves the event loop its turn.',
    file: `${WAL}/follow/follow.ts`,
    find: '    await nextTurn();\n    return this.#next();',
    replace: '    return this.#next();',
  },
  {
    name: 'turn-as-a-microtask',
    test: TURNS_TEST,
    breaks: 'A turn is one of the event loop, so that timers and I/O run, and not a microtask.',
    file: `${STORAGE_IO}/routines/turns.ts`,
    find: '  return new Promise((resume) => wait({ resume, isPromise: true }));',
    replace: '  return Promise.resolve();',
  },
  {
    name: 'one-reader-for-all-turns',
    test: TURNS_TEST,
    breaks: 'Work that waits for a turn goes on in the order in which it stopped.',
    file: `${STORAGE_IO}/routines/turns.ts`,
    find: '  waiting.push(work);',
    replace: '  waiting.unshift(work);',
  },
  {
    name: 'blocking-call-waits-for-a-turn',
    test: TURNS_TEST,
    breaks: 'A blocking call continues what waits for a turn: there is none before it returns.',
    file: `${STORAGE_IO}/routines/completion-router.ts`,
    find: '      return handedOut > 0 ? handedOut : continueInThisTurn();',
    replace: '      return handedOut;',
  },
  {
    name: 'disposed-before-the-turn',
    test: TURNS_TEST,
    breaks: 'A backend is disposed of when no routine waits for a turn of it any more.',
    file: `${STORAGE_IO}/routines/completion-router.ts`,
    find: '    return this.#owners.size + this.#waitingForTurn;',
    replace: '    return this.#owners.size;',
  },
  {
    name: 'look-at-every-record',
    test: TURNS_TEST,
    breaks: 'The clock is looked at for every 128th record of short work, and not for each.',
    file: `${STORAGE_IO}/routines/turns.ts`,
    find: 'Math.min(2 * this.#stride, STRIDE_MAX)',
    replace: '1',
  },
  {
    name: 'aborted-behind-the-first-change',
    scenario: 'openings-that-are-aborted',
    breaks: 'An opening that is aborted has changed nothing.',
    file: `${SEGMENTED}/recovery/opening-watch.ts`,
    find: '    call.throwIfEnded();\n    call.end();\n',
    replace: '    call.throwIfEnded();\n',
  },
  {
    name: 'key-service-outlasts-the-signal',
    test: LONG_CALLS_TEST,
    breaks: 'A signal ends an opening that waits for a key service or for the lock.',
    file: `${STORAGE_IO}/routines/watched.ts`,
    find: "typeof step.value === 'function' ? untilEnded(step.value, watch) : step.value",
    replace: 'step.value',
  },
  {
    name: 'inner-watch-ends-without-its-routine',
    test: TURNS_TEST,
    breaks: 'A routine that is watched twice closes its files when the outer watch ends it.',
    file: `${STORAGE_IO}/routines/watched.ts`,
    find: '      failure = { error };\n    }\n    step =',
    replace: '      throw error;\n    }\n    step =',
  },
  {
    name: 'closed-tail-reads-on',
    test: 'packages/segmented/test/log-tail-failures.test.ts',
    breaks: 'A tail that is closed ends where it waits.',
    file: `${READER}/directory/log-tail.ts`,
    find: '{ reason: () => this.#segments.closedBecause }',
    replace: '{}',
  },
  {
    name: 'progress-that-ends-early',
    test: LONG_CALLS_TEST,
    breaks: 'The last progress of a call that succeeds has all bytes.',
    file: `${READER}/walk/call-watch.ts`,
    find: 'this.#options.onProgress?.({ ...progress, bytes: progress.totalBytes });',
    replace: 'this.#options.onProgress?.(progress);',
  },
  {
    name: 'replay-of-cores-not-watched',
    test: CORES_TEST,
    breaks: 'The replay of the logs of cores is reported, and sees the signal.',
    file: `${PERCORE}/core/replay-log.ts`,
    find: '(watch === undefined ? replay() : watch.replaying(replay(), entries))',
    replace: '(entries === undefined ? watch?.replaying(replay(), entries) ?? replay() : replay())',
  },
  {
    name: 'followers-without-a-turn',
    test: 'packages/segmented/test/many-followers.test.ts',
    breaks: 'Reading the files of many followers gives the event loop its turn between two of them.',
    file: `${SEGMENTED}/followers/follower-files.ts`,
    find: '    if (isTurnDue()) yield TURN;\n',
    replace: '    if (isTurnDue() && names.size === 0) yield TURN;\n',
  },
];
