import assert from 'node:assert/strict';
import type { OtherOutcome } from './other-process.js';
import { type ConformanceCase, type Subject, throwsWal } from './subject.js';

/** Locks on paths and on open files. */
export const locks: readonly ConformanceCase[] = [
  {
    name: 'a lock excludes a second one of the same backend',
    run(subject) {
      const { io } = subject;
      const path = subject.path('LOCK');
      const release = io.lock(path);
      const error = throwsWal('WAL_LOCKED', () => io.lock(path));
      assert.equal(error.path, path);
      assert.ok(typeof error.holder === 'string' && error.holder !== '', 'the error names the holder');
      release();
      io.lock(path)();
      io.lock(path)();
    },
  },
  {
    name: 'a lock excludes another backend',
    needs: 'another',
    run(subject) {
      const other = subject.another() as Subject;
      const path = subject.path('LOCK');
      const release = subject.io.lock(path);
      throwsWal('WAL_LOCKED', () => other.io.lock(path));
      throwsWal('WAL_LOCKED', () => other.io.lock(path));
      release();
      const releaseOther = other.io.lock(path);
      throwsWal('WAL_LOCKED', () => subject.io.lock(path));
      releaseOther();
    },
  },
  {
    name: 'releasing a lock twice does not release the lock of the next holder',
    run(subject) {
      const { io } = subject;
      const path = subject.path('LOCK');
      const release = io.lock(path);
      release();
      const releaseNext = io.lock(path);
      release();
      throwsWal('WAL_LOCKED', () => io.lock(path));
      releaseNext();
    },
  },
  {
    name: 'locks of different paths are independent',
    run(subject) {
      const { io } = subject;
      const releases = ['a', 'b', 'c'].map((name) => io.lock(subject.path(name)));
      for (const release of releases) release();
    },
  },
  {
    name: 'a lock creates its file, which stays after the release',
    run(subject) {
      const { io } = subject;
      const path = subject.path('LOCK');
      const release = io.lock(path);
      assert.deepEqual(io.list(subject.directory), ['LOCK'], 'and nothing else is left beside it');
      release();
      assert.equal(io.stat(path).kind, 'file');
      assert.deepEqual(io.list(subject.directory), ['LOCK']);
    },
  },
  {
    name: 'a lock in a missing directory is WAL_NOT_FOUND',
    run(subject) {
      throwsWal('WAL_NOT_FOUND', () => subject.io.lock(subject.path('missing/LOCK')));
    },
  },
  {
    name: 'dispose releases locks',
    async run(subject) {
      const release = subject.io.lock(subject.path('LOCK'));
      await subject.io.dispose();
      // Checked before `release` is called, which could do what dispose should have done.
      const other = subject.another();
      other?.io.lock(subject.path('LOCK'));
      release();
      release();
      if (other === undefined) return;
      throwsWal('WAL_LOCKED', () => other.io.lock(subject.path('LOCK')));
    },
  },
  {
    name: 'lockFile is WAL_UNSUPPORTED where the backend does not claim it',
    run(subject) {
      if (subject.io.capabilities.fileLocks) return;
      const file = subject.open('file');
      throwsWal('WAL_UNSUPPORTED', () => subject.io.lockFile(file, 'shared'));
      throwsWal('WAL_UNSUPPORTED', () => subject.io.lockFile(file, 'exclusive'));
    },
  },
  {
    name: 'a file can have several shared locks, or one exclusive lock',
    run(subject) {
      const { io } = subject;
      if (!io.capabilities.fileLocks) return;
      const [one, two, three] = [subject.open('file'), subject.open('file'), subject.open('other')];
      assert.equal(io.lockFile(one, 'shared'), true);
      assert.equal(io.lockFile(two, 'shared'), true);
      assert.equal(io.lockFile(two, 'exclusive'), false);
      assert.equal(io.lockFile(three, 'exclusive'), true);
      io.close(one);
      assert.equal(io.lockFile(two, 'exclusive'), true, 'closing a file gives its lock up');
      const again = subject.open('file');
      assert.equal(io.lockFile(again, 'shared'), false);
      assert.equal(io.lockFile(again, 'exclusive'), false);
      assert.equal(io.lockFile(two, 'shared'), true, 'a lock replaces the one that the file has');
      assert.equal(io.lockFile(again, 'shared'), true);
    },
  },
  {
    name: 'a lock on an open file that is refused does not release the one that the file has',
    run(subject) {
      const { io } = subject;
      if (!io.capabilities.fileLocks) return;
      const [one, two, three] = [subject.open('file'), subject.open('file'), subject.open('file')];
      assert.equal(io.lockFile(one, 'shared'), true);
      assert.equal(io.lockFile(two, 'shared'), true);
      assert.equal(io.lockFile(two, 'exclusive'), false);
      io.close(one);
      assert.equal(io.lockFile(three, 'exclusive'), false, 'the second file has its shared lock still');
      assert.equal(io.lockFile(three, 'shared'), true);
    },
  },
  {
    name: 'a lock on an open file follows the file when it is renamed',
    run(subject) {
      const { io } = subject;
      if (!io.capabilities.fileLocks) return;
      const locked = subject.open('old');
      assert.equal(io.lockFile(locked, 'exclusive'), true);
      io.rename(subject.path('old'), subject.path('new'));
      assert.equal(io.lockFile(subject.open('new'), 'shared'), false);
      assert.equal(io.lockFile(subject.open('old'), 'exclusive'), true);
    },
  },
  {
    name: 'a lock on an open file excludes another backend',
    needs: 'another',
    async run(subject) {
      const { io } = subject;
      if (!io.capabilities.fileLocks) return;
      const other = subject.another() as Subject;
      const mine = subject.open('file');
      const theirs = other.open('file');
      assert.equal(io.lockFile(mine, 'exclusive'), true);
      assert.equal(other.io.lockFile(theirs, 'shared'), false);
      await io.dispose();
      assert.equal(other.io.lockFile(theirs, 'exclusive'), true, 'dispose closes files, and so gives their locks up');
    },
  },
  {
    name: 'a lock excludes another process, and is free when that process was killed',
    needs: 'another process',
    async run(subject) {
      const { io } = subject;
      const path = subject.path('LOCK');
      const other = subject.anotherProcess();
      const release = io.lock(path);
      assert.equal((await other.lock(path)).code, 'WAL_LOCKED');
      release();
      succeeded(await other.lock(path));
      throwsWal('WAL_LOCKED', () => io.lock(path));
      succeeded(await other.release());
      io.lock(path)();
      succeeded(await other.lock(path));
      throwsWal('WAL_LOCKED', () => io.lock(path));
      await other.kill();
      io.lock(path)();
    },
  },
  {
    name: 'a lock on an open file excludes another process, and is free when that process was killed',
    needs: 'another process',
    async run(subject) {
      const { io } = subject;
      if (!io.capabilities.fileLocks) return;
      const path = subject.path('file');
      const file = subject.open('file');
      const other = subject.anotherProcess();
      assert.equal(io.lockFile(file, 'shared'), true);
      assert.equal(succeeded(await other.lockFile(path, 'exclusive')), false);
      assert.equal(succeeded(await other.lockFile(path, 'shared')), true);
      assert.equal(io.lockFile(file, 'exclusive'), false);
      await other.kill();
      assert.equal(io.lockFile(file, 'exclusive'), true);
    },
  },
];

/** What a call in another process returned. */
function succeeded({ value, code, message }: OtherOutcome): unknown {
  assert.equal(code, undefined, message);
  return value;
}
