import type { Defect } from '../defect.js';
import { SEGMENTED, STORAGE_IO } from './folders.js';

const EXECUTOR_TEST = 'packages/storage-io/test/io-uring-executor.test.ts';
const SUBMISSIONS_TEST = 'harness/test/submissions.test.ts';
const LOCK_TEST = 'packages/storage-io/test/lock.test.ts';
const FS_CALLS_TEST = 'packages/storage-io/test/fs-calls.test.ts';
const UNSYNCED_TEST = 'packages/storage-io/test/portable-unsynced.test.ts';
const PERMISSIONS_TEST = 'packages/segmented/test/permissions.test.ts';

/** Defects in backends, in locks and in files that belong to no log. */
export const BACKENDS_DEFECTS: readonly Defect[] = [
  {
    name: 'notified-while-a-failed-ring-ends',
    test: EXECUTOR_TEST,
    breaks: 'What a ring that fails ends is complete before any of it is notified.',
    file: `${STORAGE_IO}/backends/io-uring/io-uring-executor.ts`,
    find: '    this.#submissions.suppressNotify();\n    try {\n      this.flush();\n',
    replace: '    try {\n      this.flush();\n',
  },
  {
    name: 'durable-write-on-any-file-system',
    test: EXECUTOR_TEST,
    breaks:
      'A durable write is made with RWF_DSYNC only where that was shown to be durable; elsewhere a sync follows it.',
    file: `${STORAGE_IO}/backends/io-uring/io-uring-executor.ts`,
    find: 'if (durable && !this.#honoursDurable(file)) {',
    replace: 'if (durable && !this.#honoursDurable(file) && offset < 0) {',
  },
  {
    name: 'failed-sync-of-a-file-tried-again',
    test: EXECUTOR_TEST,
    breaks: 'Where a sync stands for durable writes, one that failed is final for the file.',
    file: `${STORAGE_IO}/engine/files/file-sync.ts`,
    find: '      if (this.#final) this.#failure = result;\n',
    replace: '',
  },
  {
    name: 'sync-for-a-write-behind-it',
    test: EXECUTOR_TEST,
    breaks: 'A sync covers what was written before it began, and nothing that was written while it was under way.',
    file: `${STORAGE_IO}/engine/files/file-sync.ts`,
    find: '    let done = this.#underWay;\n',
    replace: '    let done: readonly SyncEnded[] = [...this.#underWay, ...this.#waiting.splice(0)];\n',
  },
  {
    name: 'promise-taken-for-done',
    test: 'packages/storage-io/test/file-ops.test.ts',
    breaks: 'An operation that returns a promise where it has to be synchronous counts as failed.',
    file: `${STORAGE_IO}/engine/require-done.ts`,
    find: "?.then !== 'function') return returned;",
    replace: "?.then !== 'never') return returned;",
  },
  {
    name: 'opened-to-write-and-only-read',
    test: 'packages/segmented/test/readonly.test.ts',
    breaks: 'Opening a log for reading needs read permission only.',
    file: 'packages/mmap-reader/src/chain/log-files.ts',
    find: 'const READ_ONLY: OpenOptions = { readOnly: true };',
    replace: 'const READ_ONLY: OpenOptions = {};',
  },
  {
    name: 'detached-memory-handed-to-the-kernel',
    test: EXECUTOR_TEST,
    breaks: 'An operation whose memory was detached or resized fails, and no other operation fails with it.',
    file: `${STORAGE_IO}/backends/io-uring/completions-to-results.ts`,
    find: 'return memory === undefined || memory.length === this.#bytes[slot];',
    replace: 'return memory === undefined || memory.length >= 0;',
  },
  {
    name: 'lock-of-any-other-boot-is-free',
    test: LOCK_TEST,
    breaks: "Another boot id proves a restart only where both are known to be the kernel's own.",
    file: `${STORAGE_IO}/lock/lock-liveness.ts`,
    find: "if (holder.kernelsBoot && isKernelsBoot()) return 'dead';",
    replace: "if (holder.bootId !== '') return 'dead';",
  },
  {
    name: 'proc-of-another-namespace-trusted',
    test: FS_CALLS_TEST,
    breaks: '/proc is used only where its process ids are those of the own process id namespace.',
    file: `${STORAGE_IO}/lock/process-liveness.ts`,
    find: '  if (!procIsOwn()) return undefined;\n',
    replace: '',
  },
  {
    name: 'starts-of-another-clock-compared',
    test: LOCK_TEST,
    breaks: 'Start times are compared only within one time namespace.',
    file: `${STORAGE_IO}/lock/lock-liveness.ts`,
    find: '!differ(holder.timeNamespace, thisTimeNamespace()) && differ(one, other)',
    replace: 'differ(one, other)',
  },
  {
    name: 'missing-process-of-an-unknown-namespace-is-dead',
    test: LOCK_TEST,
    breaks:
      'A process id without a process proves that the holder is dead only where it is known to mean the same process.',
    file: `${STORAGE_IO}/lock/lock-liveness.ts`,
    find: "return isOneNamespace(holder) ? 'dead' : 'unknown';",
    replace: "return 'dead';",
  },
  {
    name: 'thread-that-cannot-be-read-is-gone',
    test: FS_CALLS_TEST,
    breaks: 'A thread has ended only when the system reports that there is none.',
    file: `${STORAGE_IO}/lock/process-liveness.ts`,
    find: "return name === 'ENOENT' || name === 'ESRCH' ? GONE : undefined;",
    replace: 'return GONE;',
  },
  {
    name: 'name-of-the-lock-taken-for-a-leftover',
    test: LOCK_TEST,
    breaks: 'A takeover file that is a hard link to the lock file does not name its holder.',
    file: `${STORAGE_IO}/lock/takeover-file.ts`,
    find: 'return isSameFile(path, takeover) ? undefined : peekLock(takeover);',
    replace: 'return peekLock(takeover);',
  },
  {
    name: 'unsynced-tail-not-written-again',
    test: UNSYNCED_TEST,
    breaks: 'What may be unsynced in a file without frames is written again before it counts as durable.',
    file: `${STORAGE_IO}/portable/open-writer.ts`,
    find: '    if (bounded && !framed) yield* makeTailDurable(steps, file, settings);\n',
    replace: '',
  },
  {
    name: 'zeros-taken-for-padding',
    test: 'packages/storage-io/test/portable.crash.test.ts',
    breaks: 'In a file of frames, zeros are padding only where the word for padding stands before them.',
    file: `${STORAGE_IO}/portable/file-scanner.ts`,
    find: 'return start === this.#end && this.#isPadding(start - this.#base) ? blockEnd(start, blockBytes) : start;',
    replace: 'return blockEnd(start, blockBytes);',
  },
  {
    name: 'padding-not-written-again',
    test: UNSYNCED_TEST,
    breaks: 'The word for padding is written again before anything is appended behind it.',
    file: `${STORAGE_IO}/portable/recover-frames.ts`,
    find: '  if (next > end) yield* writePadding(steps, file, end, next);\n',
    replace: '  if (next > end && !isWhole) yield* writePadding(steps, file, end, next);\n',
  },
  {
    name: 'datasyncs-side-by-side',
    test: 'packages/storage-io/test/file-ops.test.ts',
    breaks: 'Of several datasyncs of a file at a time each fails when the system could not write something.',
    file: `${STORAGE_IO}/engine/async-executor.ts`,
    find: 'file.sync ??= new FileSync(',
    replace: 'file.sync = new FileSync(',
  },
  {
    name: 'datasyncs-of-a-ring-side-by-side',
    test: EXECUTOR_TEST,
    breaks: 'Of several datasyncs of a file in a ring each fails when the system could not write something.',
    file: `${STORAGE_IO}/backends/io-uring/io-uring-executor.ts`,
    find: 'file.sync ??= new FileSync(',
    replace: 'file.sync = new FileSync(',
  },
  {
    name: 'full-ring-offered-more-again-and-again',
    test: EXECUTOR_TEST,
    breaks: 'A ring without room is tried again when an operation completes, and not in a loop.',
    file: `${STORAGE_IO}/backends/io-uring/completions-to-results.ts`,
    find: '(submitted > 0 || this.#inRing > had)',
    replace: 'this.#inRing < this.#maxInRing',
  },
  {
    name: 'btrfs-counted-as-honouring-durable-writes',
    test: 'packages/storage-io/test/file-system.test.ts',
    breaks: 'A file system honours durable writes when that was shown, and no other.',
    file: `${STORAGE_IO}/backends/file-system.ts`,
    find: "new Set(['ext4', 'xfs'])",
    replace: "new Set(['ext4', 'xfs', 'btrfs'])",
  },
  {
    name: 'found-counts-as-durable',
    test: UNSYNCED_TEST,
    breaks: 'What is found in a file without frames and without a bound does not count as durable.',
    file: `${STORAGE_IO}/portable/open-writer.ts`,
    find: '(bounded ? io.size(file) : 0)',
    replace: 'io.size(file)',
  },
  {
    name: 'holder-on-another-mount-not-searched-for',
    test: 'packages/storage-io/test/lock-elsewhere.test.ts',
    breaks: 'A live holder that has the same file open by another mount keeps its lock.',
    file: `${STORAGE_IO}/lock/lock-file.ts`,
    find: '    refuseHeldElsewhere(path, fd, me);\n',
    replace: '',
  },
  {
    name: 'short-durable-write-finished-plainly',
    test: EXECUTOR_TEST,
    breaks: 'The rest of a durable write that was cut short is written durably, too.',
    file: `${STORAGE_IO}/backends/io-uring/completions-to-results.ts`,
    find: `      this.#repeat(slot, EIO);
      return;
    }
    this.#repeats[slot] = 0;`,
    replace: `      this.#repeat(slot, EIO);
      return;
    }
    if (!reading) this.#operations[slot] = RingOperation.write;
    this.#repeats[slot] = 0;`,
  },
  {
    name: 'pieces-of-appends-in-bytes',
    test: EXECUTOR_TEST,
    breaks:
      'What is appended to a file with direct I/O continues at a block, too, when the system takes only a part of it.',
    file: `${STORAGE_IO}/backends/io-uring/io-uring-executor.ts`,
    find: `      const slot = this.#slotForStep(answered(done));
      this.#operations.transfer(slot, operation, file.handle, bytes, offset, file.io.alignment);`,
    replace: `      const slot = this.#slotForStep(answered(done));
      this.#operations.transfer(slot, operation, file.handle, bytes, offset, 1);`,
  },
  {
    name: 'durable-pieces-written-plainly',
    scenario: 'groups',
    breaks: 'A durable write that takes several pieces is durable in each of them.',
    file: `${STORAGE_IO}/engine/transfers/async-transfer.ts`,
    find: "kind === 'durable-write' ? writeDurable : write;",
    replace: "kind === 'durable-write' && position === this.#offset ? writeDurable : write;",
  },
  {
    name: 'durable-write-asked-for-as-a-plain-one',
    test: SUBMISSIONS_TEST,
    breaks: 'A durable write is submitted to the kernel as a durable one.',
    file: 'packages/native/addon/ring.cc',
    find: '  if (flags & kDurable && !reading) operation->rw_flags = RWF_DSYNC;\n',
    replace: '',
  },
  {
    name: 'sync-that-only-begins-to-write',
    test: SUBMISSIONS_TEST,
    breaks: 'A sync waits until the kernel has written, and does not only start writeback.',
    file: 'packages/native/addon/ring.cc',
    find: 'ring->Begin(slot, IORING_OP_FSYNC, fd, flags);',
    replace: 'ring->Begin(slot, IORING_OP_SYNC_FILE_RANGE, fd, flags);',
  },
  {
    name: 'durable-writes-that-the-disk-forgets',
    scenario: 'groups',
    breaks: 'On a disk that does not honour durable writes acknowledged records are lost, and the check finds that.',
    file: `${STORAGE_IO}/simulation/process-files.ts`,
    find: 'land(now, durable && fault === undefined);',
    replace: 'land(now, false);',
  },
  {
    name: 'syncs-that-the-disk-forgets',
    scenario: 'groups',
    breaks: 'On a disk that does not honour syncs acknowledged records are lost, and the check finds that.',
    file: `${STORAGE_IO}/simulation/process-files.ts`,
    find: "this.#core.change({ kind: 'sync', inode: file.id, upTo });",
    replace: "this.#core.change({ kind: 'sync', inode: file.id, upTo: 0 });",
  },
  {
    name: 'syncs-of-directories-that-the-disk-forgets',
    scenario: 'rolls',
    breaks:
      'On a disk that does not honour syncs of directories acknowledged records are lost, and the check finds that.',
    file: `${STORAGE_IO}/simulation/process-files.ts`,
    find: "this.#core.change({ kind: 'sync-directory', directory: directory.id, upTo });",
    replace: "this.#core.change({ kind: 'sync-directory', directory: directory.id, upTo: 0 });",
  },
  {
    name: 'file-closed-as-if-durable',
    test: 'packages/storage-io/test/portable-failure.test.ts',
    breaks: 'Closing a file rejects when writing fails while the call waits for its turn.',
    file: `${STORAGE_IO}/portable/portable-wal-writer.ts`,
    find: 'else if (!this.#failureWasReported) throw failure;',
    replace: 'else if (failure === undefined) throw failure;',
  },
  {
    name: 'files-for-all',
    test: PERMISSIONS_TEST,
    breaks: 'What a log makes is for the owner only, unless it is asked for more.',
    file: `${STORAGE_IO}/engine/arguments.ts`,
    find: 'export const FILE_MODE_DEFAULT = 0o600;',
    replace: 'export const FILE_MODE_DEFAULT = 0o644;',
  },
  {
    name: 'umask-takes-permissions',
    test: PERMISSIONS_TEST,
    breaks: 'What a log makes has the permissions that were asked for, whatever the umask.',
    file: `${STORAGE_IO}/backends/node-fs/permissions.ts`,
    find: '    change((stats.mode & 0o7000) | mode);\n',
    replace: '',
  },
  {
    name: 'existing-file-changed',
    test: PERMISSIONS_TEST,
    breaks: 'An existing file keeps its permissions.',
    file: `${STORAGE_IO}/backends/node-fs/permissions.ts`,
    find: '      return openSync(path, bits);\n',
    replace: '      return create(path, bits, mode);\n',
  },
  {
    name: 'replaced-without-permissions',
    test: PERMISSIONS_TEST,
    breaks: 'A file that is replaced as a whole has the permissions of all others.',
    file: `${STORAGE_IO}/routines/small-files.ts`,
    find: '{ create: true, exclusive: true, mode }',
    replace: '{ create: true, exclusive: true }',
  },
  {
    name: 'draft-of-the-killed-is-used',
    test: 'packages/storage-io/test/small-files.test.ts',
    breaks:
      'A file that is replaced as a whole is written to a new file: a write of a killed process lands in its own.',
    file: `${STORAGE_IO}/routines/small-files.ts`,
    find: 'create: true, exclusive: true, mode }',
    replace: 'create: true, truncate: true, mode }',
  },
  {
    name: 'lock-without-permissions',
    test: PERMISSIONS_TEST,
    breaks: 'The file of a lock has the permissions of all others.',
    file: `${SEGMENTED}/recovery/lock-within.ts`,
    find: 'environment.io.lock(path, fileMode)',
    replace: 'environment.io.lock(path)',
  },
];
