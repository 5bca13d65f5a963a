import assert from 'node:assert/strict';
import { linkSync } from 'node:fs';
import type { IoFile, StorageIo } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, type Subject, throwsWal } from './subject.js';

/** Every call that takes a file, with good arguments otherwise. */
const callsOnFile: readonly (readonly [string, (io: StorageIo, file: IoFile) => unknown])[] = [
  ['close', (io, file) => io.close(file)],
  ['size', (io, file) => io.size(file)],
  ['links', (io, file) => (io.links === undefined ? io.size(file) : io.links(file))],
  ['submitWrite', (io, file) => io.submitWrite(file, bytes(4096), 0)],
  ['submitAppend', (io, file) => io.submitAppend(file, bytes(4096))],
  ['submitRead', (io, file) => io.submitRead(file, new Uint8Array(4096), 0)],
  ['submitDatasync', (io, file) => io.submitDatasync(file)],
  ['submitTruncate', (io, file) => io.submitTruncate(file, 0)],
  ['submitAllocate', (io, file) => io.submitAllocate(file, 0, 4096)],
];

function refused(io: StorageIo, file: IoFile): void {
  const before = io.stats().submitted;
  for (const [, call] of callsOnFile) throwsWal('WAL_BAD_FD', () => call(io, file));
  if (io.capabilities.fileLocks) throwsWal('WAL_BAD_FD', () => io.lockFile(file, 'shared'));
  assert.equal(io.stats().submitted, before, 'nothing may be submitted');
  assert.equal(io.pending, 0);
}

/** Whether the last submission is still in flight. On a backend that completes inline it never is. */
function inFlight(io: StorageIo): boolean {
  const some = io.stats().inFlight > 0;
  if (io.capabilities.completesInline) assert.ok(!some, 'nothing is in flight in a backend that completes inline');
  return some;
}

/** Open files are known by identity, not by their number; and none is closed or truncated while it is busy. */
export const files: readonly ConformanceCase[] = [
  {
    name: 'a file has the path and the flags that it was opened with',
    run(subject) {
      const file = subject.open('file');
      assert.equal(file.path, subject.path('file'));
      assert.equal(file.direct, false);
      assert.equal(file.alignment, 1);
      assert.ok(Number.isSafeInteger(file.fd));
    },
  },
  {
    name: 'links is the number of names of an open file, or undefined where the backend does not know it',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('old');
      if (io.links?.(file) === undefined) return;
      assert.equal(io.links(file), 1);
      io.rename(subject.path('old'), subject.path('new'));
      assert.equal(io.links(file), 1, 'a name that was replaced by another is one');
      assert.equal(io.links(subject.open('new')), 1);
      const other = subject.open('other');
      io.rename(subject.path('other'), subject.path('new'));
      assert.equal(io.links(file), 0, 'its name was given to another file');
      assert.equal(io.links(other), 1);
      assert.equal(await subject.result(io.submitRemove(subject.path('new'))), 0);
      assert.equal(io.links(other), 0, 'its name was removed');
    },
  },
  {
    name: 'links counts a second name of a real file',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      if (!io.capabilities.realFiles || io.links?.(file) === undefined) return;
      try {
        linkSync(subject.path('file'), subject.path('second'));
      } catch {
        // There are file systems on which a file has one name.
        return;
      }
      assert.equal(io.links(file), 2);
      assert.equal(io.links(subject.open('second')), 2);
      assert.equal(await subject.result(io.submitRemove(subject.path('file'))), 0);
      assert.equal(io.links(file), 1);
    },
  },
  {
    name: 'a file that is opened for reading only can be read, and not changed',
    async run(subject) {
      const { io } = subject;
      await subject.make('file', bytes(4096));
      const file = subject.open('file', { readOnly: true });
      const before = io.stats().submitted;
      for (const change of [
        () => io.submitWrite(file, bytes(10), 0),
        () => io.submitAppend(file, bytes(10)),
        () => io.submitTruncate(file, 0),
        () => io.submitAllocate(file, 0, 10_000),
      ]) {
        throwsWal('WAL_BAD_FD', change);
      }
      assert.equal(io.stats().submitted, before, 'nothing may be submitted');
      if (io.capabilities.fileLocks) {
        throwsWal('WAL_BAD_FD', () => io.lockFile(file, 'exclusive'));
        assert.equal(io.lockFile(file, 'shared'), true);
      }
      assertBytes(await subject.read(file, 0, 5000), bytes(4096));
      assert.equal(io.size(file), 4096);
      assert.equal(await subject.result(io.submitDatasync(file)), 0);
      io.close(file);
      throwsWal('WAL_NOT_FOUND', () => subject.open('missing', { readOnly: true }));
      io.makeDirectory(subject.path('directory'));
      throwsWal('WAL_IO_FAILED', () => subject.open('directory', { readOnly: true }));
      for (const options of [{ create: true }, { truncate: true }]) {
        assert.throws(() => subject.open('file', { ...options, readOnly: true }), RangeError);
      }
    },
  },
  {
    name: 'no two files have the same fd',
    run(subject) {
      const seen = new Set<number>();
      for (let round = 0; round < 20; round++) {
        const one = subject.open('one');
        const two = subject.open('two');
        for (const file of [one, two]) {
          assert.ok(!seen.has(file.fd), `${file.fd} was given out before`);
          seen.add(file.fd);
        }
        subject.io.close(one);
        subject.io.close(two);
      }
    },
  },
  {
    name: 'a file that was closed is WAL_BAD_FD',
    run(subject) {
      const file = subject.open('file');
      subject.io.close(file);
      refused(subject.io, file);
    },
  },
  {
    name: 'a closed file does not write to a file that was opened later, also with its fd',
    async run(subject) {
      const { io } = subject;
      const stale = subject.open('stale');
      io.close(stale);
      const fresh = subject.open('fresh');
      await subject.write(fresh, bytes(100), 0);
      refused(io, stale);
      refused(io, { ...stale, fd: fresh.fd });
      assertBytes(await subject.read(fresh, 0, 5000), bytes(100));
    },
  },
  {
    name: 'a copy of the object of a file is WAL_BAD_FD',
    run(subject) {
      const file = subject.open('file');
      refused(subject.io, { ...file });
      subject.io.close(file);
    },
  },
  {
    name: "another backend's file is WAL_BAD_FD",
    needs: 'another',
    run(subject) {
      const mine = subject.open('mine');
      const other = subject.another() as Subject;
      const theirs = other.open('theirs');
      refused(subject.io, theirs);
      refused(other.io, mine);
    },
  },
  {
    name: 'closing a file with operations in flight is WAL_BUSY',
    async run(subject) {
      const { io } = subject;
      for (const submit of [
        (file: IoFile) => io.submitWrite(file, bytes(100), 0),
        (file: IoFile) => io.submitAppend(file, bytes(100)),
        (file: IoFile) => io.submitRead(file, new Uint8Array(100), 0),
        (file: IoFile) => io.submitDatasync(file),
        (file: IoFile) => io.submitAllocate(file, 0, 100_000),
        (file: IoFile) => io.submitTruncate(file, 100),
      ]) {
        const file = subject.open('file');
        const token = submit(file);
        if (inFlight(io)) {
          const error = throwsWal('WAL_BUSY', () => io.close(file));
          assert.equal(error.path, file.path);
        }
        assert.ok((await subject.result(token)) >= 0);
        io.close(file);
        throwsWal('WAL_BAD_FD', () => io.size(file));
      }
    },
  },
  {
    name: 'truncating a file with operations in flight is WAL_BUSY',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      const token = io.submitWrite(file, bytes(5000), 0);
      if (inFlight(io)) {
        throwsWal('WAL_BUSY', () => io.submitTruncate(file, 10));
        assert.equal(io.pending, 1);
      }
      assert.equal(await subject.result(token), 5000);
      assertBytes(await subject.read(file, 0, 6000), bytes(5000));
      assert.equal(await subject.result(io.submitTruncate(file, 10)), 0);
      assert.equal(io.size(file), 10);
    },
  },
  {
    name: 'operations in flight on one file do not prevent closing another one',
    async run(subject) {
      const { io } = subject;
      const busy = subject.open('busy');
      const idle = subject.open('idle');
      const token = io.submitWrite(busy, bytes(100), 0);
      io.close(idle);
      assert.equal(await subject.result(token), 100);
    },
  },
  {
    name: 'a file has direct I/O with an alignment, or it is refused and counted',
    async run(subject) {
      const { io } = subject;
      const refusedBefore = io.stats().directRefused;
      const file = subject.open('file', { create: true, direct: true });
      if (!file.direct) {
        assert.equal(file.alignment, 1);
        assert.equal(io.stats().directRefused, refusedBefore + 1);
        await subject.write(file, bytes(13), 1);
        return;
      }
      assert.equal(io.stats().directRefused, refusedBefore);
      const { alignment } = file;
      assert.ok(alignment > 1 && (alignment & (alignment - 1)) === 0, `alignment ${alignment}`);
      const memory = io.allocateBuffer(4 * alignment);
      memory.set(bytes(2 * alignment));
      const good = memory.subarray(0, 2 * alignment);
      for (const call of [
        () => io.submitWrite(file, good, 1),
        () => io.submitWrite(file, memory.subarray(0, alignment + 1), 0),
        () => io.submitWrite(file, memory.subarray(1, alignment + 1), 0),
        () => io.submitAppend(file, memory.subarray(0, alignment - 1)),
        () => io.submitRead(file, good, alignment + 1),
        () => io.submitRead(file, memory.subarray(0, 1), 0),
        () => io.submitRead(file, memory.subarray(1, alignment + 1), 0),
      ]) {
        throwsWal('WAL_ALIGNMENT', call);
      }
      assert.equal(io.pending, 0);
      await subject.write(file, good, alignment);
      const into = memory.subarray(2 * alignment);
      assert.equal(await subject.result(io.submitRead(file, into, alignment)), 2 * alignment);
      assertBytes(into, bytes(2 * alignment));
    },
  },
  {
    name: 'direct I/O appends, fills, and reads up to the end of a file',
    async run(subject) {
      const { io } = subject;
      await subject.make('file', bytes(10));
      const file = subject.open('file', { direct: true });
      if (!file.direct) return;
      const { alignment } = file;
      const block = io.allocateBuffer(alignment);
      block.set(bytes(alignment, 2));
      // The file does not end where a block does.
      throwsWal('WAL_ALIGNMENT', () => io.submitAppend(file, block));
      throwsWal('WAL_ALIGNMENT', () => io.submitAllocate(file, 0, alignment));
      const into = io.allocateBuffer(4 * alignment);
      assert.equal(await subject.result(io.submitRead(file, into, 0)), 10);
      assertBytes(into.subarray(0, 10), bytes(10));
      assert.equal(await subject.result(io.submitTruncate(file, 0)), 0);

      const appends = [io.submitAppend(file, block), io.submitAppend(file, block)];
      assert.deepEqual(await subject.results(...appends), [alignment, alignment]);
      assert.equal(await subject.result(io.submitAllocate(file, alignment, 2 * alignment + 1)), 0);
      assert.ok(io.size(file) > 3 * alignment, `${io.size(file)} bytes`);
      assert.equal(io.size(file) % alignment, 0);
      assert.equal(await subject.result(io.submitRead(file, into, 0)), 4 * alignment);
      assertBytes(into.subarray(0, alignment), block);
      assertBytes(into.subarray(alignment, 2 * alignment), block);
      assertBytes(into.subarray(2 * alignment), new Uint8Array(2 * alignment));
    },
  },
  {
    name: 'allocateBuffer returns zeroed memory for writes and reads',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      for (const length of [0, 1, 4096, 100_000]) {
        const memory = io.allocateBuffer(length);
        assert.ok(memory instanceof Uint8Array);
        assertBytes(memory, new Uint8Array(length));
        memory.set(bytes(length));
        await subject.write(file, memory, 0);
        assertBytes(await subject.read(file, 0, length), bytes(length));
      }
    },
  },
];
