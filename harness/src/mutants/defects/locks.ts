import type { Defect } from '../defect.js';
import { STORAGE_IO } from './folders.js';

const EXECUTOR_TEST = 'packages/storage-io/test/io-uring-executor.test.ts';
const FAILURE_TEST = 'packages/storage-io/test/io-failure.test.ts';

/** Defects in how locks end, in what the system says, and in rings that fail. */
export const LOCKS_DEFECTS: readonly Defect[] = [
  {
    name: 'takeover-file-without-a-holder',
    test: 'packages/storage-io/test/fs-calls.test.ts',
    breaks: 'The takeover file of a lock names its holder from its first moment on.',
    file: `${STORAGE_IO}/lock/takeover-file.ts`,
    find: '    symlinkSync(textOf(me), takeover);\n',
    replace: '    createTakeoverInTwoSteps(path, takeover, me);\n',
  },
  {
    name: 'lock-kept-where-its-file-cannot-be-written',
    test: 'harness/test/lock-life.test.ts',
    breaks: 'A lock whose file cannot be written any more is released all the same.',
    file: `${STORAGE_IO}/lock/lock-file.ts`,
    find: '  released.add(me.id);\n',
    replace: '',
  },
  {
    name: 'quota-without-a-name',
    test: FAILURE_TEST,
    breaks: 'A full quota is a lack of room, though libuv has no name for it.',
    file: `${STORAGE_IO}/errors/system-error.ts`,
    find: '  ...Object.entries(constants.errno).map(([name, errno]) => [-errno, name] as const),\n',
    replace: '',
  },
  {
    name: 'damaged-file-system-without-a-name',
    test: FAILURE_TEST,
    breaks: 'The error of a damaged file system has its name.',
    file: `${STORAGE_IO}/errors/system-error.ts`,
    find: '  ...DAMAGED,\n',
    replace: '',
  },
  {
    name: 'submissions-lost-to-a-throw',
    test: EXECUTOR_TEST,
    breaks: 'What a listener has submitted before it throws goes to the kernel.',
    file: `${STORAGE_IO}/backends/io-uring/io-uring-executor.ts`,
    find: `    } finally {
      this.#inReadyTurn = false;
      this.#pollsOfReaped = 0;
      // Also when the listener throws: what it has queued before is submitted.
      this.#flushFromEventLoop();
    }`,
    replace: `      this.#flushFromEventLoop();
    } finally {
      this.#inReadyTurn = false;
      this.#pollsOfReaped = 0;
    }`,
  },
  {
    name: 'listener-inside-a-poll',
    test: EXECUTOR_TEST,
    breaks: 'Operations that end because their ring failed are reported on the event loop, and not inside a poll.',
    file: `${STORAGE_IO}/backends/io-uring/io-uring-executor.ts`,
    find: '      if (!unsubmitted) return;\n    }\n    this.#submissions.suppressNotify();\n',
    replace: '      if (!unsubmitted) return;\n    }\n    this.#submissions.resumeNotify();\n',
    also: {
      file: `${STORAGE_IO}/engine/submissions/submissions.ts`,
      find: '    if (this.#calls > 0) this.ready.notifyLater();\n    else this.ready.notifyNow();\n',
      replace: '    this.ready.notifyNow();\n',
    },
  },
  {
    name: 'ring-closed-before-its-end',
    test: 'harness/test/ring-failures.test.ts',
    breaks: 'A ring that cannot be entered any more is closed when the kernel no longer uses its memory.',
    file: 'packages/native/addon/kernel_ring.cc',
    find: '  if (!finished) AwaitEnd();\n',
    replace: '',
  },
  {
    name: 'name-durable-beside-its-link',
    test: 'harness/test/portable-links.test.ts',
    breaks: 'For a file behind a symbolic link the directory is synced that the file lies in.',
    file: `${STORAGE_IO}/portable/open-writer.ts`,
    find: 'dirname(steps.io.capabilities.realFiles ? linkTarget(path) : path)',
    replace: "dirname(steps.io.capabilities.realFiles && path === '' ? linkTarget(path) : path)",
  },
  {
    name: 'frames-written-again-unverified',
    test: 'packages/storage-io/test/portable-unsynced.test.ts',
    breaks: 'The bytes that are written again in a file of frames are those whose checksums were verified.',
    file: `${STORAGE_IO}/portable/recover-frames.ts`,
    find: 'return count === frames && scanner.end === end;',
    replace: 'return count <= frames && scanner.end <= end;',
  },
];
