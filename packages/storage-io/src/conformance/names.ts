import assert from 'node:assert/strict';
import type { IoFile } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, errorName, type Subject, throwsWal } from './subject.js';

/** Opening, listing, renaming and removing files. */
export const names: readonly ConformanceCase[] = [
  {
    name: 'opening a missing file is WAL_NOT_FOUND and creates nothing',
    run(subject) {
      const error = throwsWal('WAL_NOT_FOUND', () => subject.open('missing', {}));
      assert.equal(error.path, subject.path('missing'));
      throwsWal('WAL_NOT_FOUND', () => subject.open('missing', { truncate: true }));
      throwsWal('WAL_NOT_FOUND', () => subject.open('missing', { exclusive: true }));
      throwsWal('WAL_NOT_FOUND', () => subject.open('missing/file', { create: true }));
      assert.deepEqual(subject.io.list(subject.directory), []);
    },
  },
  {
    name: 'create makes a file, and does not change an existing one',
    async run(subject) {
      const first = subject.open('file');
      assert.equal(subject.io.size(first), 0);
      await subject.write(first, bytes(100), 0);
      subject.io.close(first);
      const second = subject.open('file');
      assert.equal(subject.io.size(second), 100);
      subject.io.close(second);
      assertBytes(await subject.content('file'), bytes(100));
    },
  },
  {
    name: 'exclusive refuses an existing file',
    async run(subject) {
      subject.io.close(subject.open('new', { create: true, exclusive: true }));
      const error = throwsWal('WAL_IO_FAILED', () => subject.open('new', { create: true, exclusive: true }));
      assert.equal(error.systemCode, 'EEXIST');
      assert.equal(error.path, subject.path('new'));
    },
  },
  {
    name: 'open with truncate empties the file',
    async run(subject) {
      await subject.make('file', bytes(5000));
      const file = subject.open('file', { truncate: true });
      assert.equal(subject.io.size(file), 0);
      subject.io.close(file);
      assertStat(subject, subject.path('file'), 'file', 0);
    },
  },
  {
    name: 'opening a directory fails',
    run(subject) {
      subject.io.makeDirectory(subject.path('directory'));
      throwsWal('WAL_IO_FAILED', () => subject.open('directory', {}));
      throwsWal('WAL_IO_FAILED', () => subject.open('directory', { create: true }));
    },
  },
  {
    name: 'list returns the names of files and directories, sorted',
    async run(subject) {
      const made = ['b', 'a', 'B', 'wal-10', 'wal-2', 'with space', 'ü'];
      for (const name of made) await subject.make(name);
      subject.io.makeDirectory(subject.path('directory'));
      await subject.make('directory/inner');
      assert.deepEqual(subject.io.list(subject.directory), [...made, 'directory'].sort());
      assert.deepEqual(subject.io.list(subject.path('directory')), ['inner']);
    },
  },
  {
    name: 'list returns all names, also of hundreds of files',
    run(subject) {
      const made = Array.from({ length: 600 }, (_, index) => `a-file-with-quite-a-long-name-${1000 + index}`);
      for (const name of made) subject.io.close(subject.open(name));
      assert.deepEqual(subject.io.list(subject.directory), made);
    },
  },
  {
    name: 'list throws for a missing directory, and for a file',
    async run(subject) {
      throwsWal('WAL_NOT_FOUND', () => subject.io.list(subject.path('missing')));
      await subject.make('file');
      throwsWal('WAL_IO_FAILED', () => subject.io.list(subject.path('file')));
    },
  },
  {
    name: 'rename moves a file, and replaces a file of the new name',
    async run(subject) {
      const { io } = subject;
      await subject.make('from', bytes(300, 1));
      await subject.make('to', bytes(700, 2));
      io.rename(subject.path('from'), subject.path('to'));
      assert.deepEqual(io.list(subject.directory), ['to']);
      assertBytes(await subject.content('to'), bytes(300, 1));
      io.makeDirectory(subject.path('directory'));
      io.rename(subject.path('to'), subject.path('directory/moved'));
      assertBytes(await subject.content('directory/moved'), bytes(300, 1));
    },
  },
  {
    name: 'rename moves a directory with its files',
    async run(subject) {
      const { io } = subject;
      io.makeDirectory(subject.path('old'));
      await subject.make('old/file', bytes(10));
      io.rename(subject.path('old'), subject.path('new'));
      assert.deepEqual(io.list(subject.directory), ['new']);
      assertBytes(await subject.content('new/file'), bytes(10));
    },
  },
  {
    name: 'rename of a missing file is WAL_NOT_FOUND and does not change the target',
    async run(subject) {
      await subject.make('to', bytes(10));
      throwsWal('WAL_NOT_FOUND', () => subject.io.rename(subject.path('missing'), subject.path('to')));
      throwsWal('WAL_NOT_FOUND', () => subject.io.rename(subject.path('to'), subject.path('missing/to')));
      assertBytes(await subject.content('to'), bytes(10));
    },
  },
  {
    name: 'a file that is renamed while it is open stays the same file',
    async run(subject) {
      const file = subject.open('next');
      await subject.write(file, bytes(50, 1), 0);
      subject.io.rename(subject.path('next'), subject.path('named'));
      await subject.write(file, bytes(50, 2), 50);
      subject.io.close(file);
      assertBytes(await subject.content('named'), new Uint8Array([...bytes(50, 1), ...bytes(50, 2)]));
    },
  },
  {
    name: 'a file that was replaced by a rename stays usable where it is open',
    async run(subject) {
      const { io } = subject;
      const replaced = subject.open('to');
      await subject.write(replaced, bytes(700, 1), 0);
      await subject.make('from', bytes(300, 2));
      io.rename(subject.path('from'), subject.path('to'));
      await staysUsable(subject, replaced);
      assertBytes(await subject.content('to'), bytes(300, 2));
    },
  },
  {
    name: 'a file that was removed stays usable where it is open',
    async run(subject) {
      const { io } = subject;
      const removed = subject.open('file');
      await subject.write(removed, bytes(700, 1), 0);
      assert.equal(await subject.result(io.submitRemove(subject.path('file'))), 0);
      await subject.make('file', bytes(300, 2));
      await staysUsable(subject, removed);
      assertBytes(await subject.content('file'), bytes(300, 2));
    },
  },
  {
    name: 'a file that is removed or replaced stays usable where another backend has it open',
    needs: 'another',
    async run(subject) {
      const other = subject.another() as Subject;
      await subject.make('removed', bytes(700, 1));
      await subject.make('replaced', bytes(700, 1));
      const open = ['removed', 'replaced'].map((name) => other.open(name, {}));
      assert.equal(await subject.result(subject.io.submitRemove(subject.path('removed'))), 0);
      await subject.make('from', bytes(300, 2));
      subject.io.rename(subject.path('from'), subject.path('replaced'));
      for (const file of open) await staysUsable(other, file);
    },
  },
  {
    name: 'makeDirectory makes one directory in an existing one',
    async run(subject) {
      const { io } = subject;
      io.makeDirectory(subject.path('a'));
      io.makeDirectory(subject.path('a/b'));
      assert.deepEqual(io.list(subject.path('a')), ['b']);
      throwsWal('WAL_NOT_FOUND', () => io.makeDirectory(subject.path('missing/b')));
      assert.equal(throwsWal('WAL_IO_FAILED', () => io.makeDirectory(subject.path('a'))).systemCode, 'EEXIST');
      await subject.make('file');
      assert.equal(throwsWal('WAL_IO_FAILED', () => io.makeDirectory(subject.path('file'))).systemCode, 'EEXIST');
    },
  },
  {
    name: 'stat returns the kind and the size',
    async run(subject) {
      await subject.make('file', bytes(1234));
      assertStat(subject, subject.path('file'), 'file', 1234);
      assertStat(subject, subject.directory, 'directory', 0);
      throwsWal('WAL_NOT_FOUND', () => subject.io.stat(subject.path('missing')));
    },
  },
  {
    name: 'submitRemove removes a file',
    async run(subject) {
      const { io } = subject;
      await subject.make('file', bytes(10));
      await subject.make('other');
      assert.equal(await subject.result(io.submitRemove(subject.path('file'))), 0);
      assert.deepEqual(io.list(subject.directory), ['other']);
    },
  },
  {
    name: 'submitRemove of a missing file completes with ENOENT',
    async run(subject) {
      const result = await subject.result(subject.io.submitRemove(subject.path('missing')));
      assert.equal(errorName(result), 'ENOENT');
    },
  },
  {
    name: 'submitRemove does not remove a directory',
    async run(subject) {
      const { io } = subject;
      io.makeDirectory(subject.path('directory'));
      assert.ok((await subject.result(io.submitRemove(subject.path('directory')))) < 0);
      assert.deepEqual(io.list(subject.directory), ['directory']);
    },
  },
  {
    name: 'submitSyncDirectory completes with 0, and with ENOENT for a missing directory',
    async run(subject) {
      await subject.make('file');
      assert.equal(await subject.result(subject.io.submitSyncDirectory(subject.directory)), 0);
      if (process.platform === 'win32') return;
      const result = await subject.result(subject.io.submitSyncDirectory(subject.path('missing')));
      assert.equal(errorName(result), 'ENOENT');
    },
  },
];

/** Checks that an open file without a name can be read and written as before. */
async function staysUsable(subject: Subject, file: IoFile): Promise<void> {
  assert.equal(subject.io.size(file), 700);
  assertBytes(await subject.read(file, 0, 1000), bytes(700, 1));
  await subject.write(file, bytes(100, 3), 700);
  assertBytes(await subject.read(file, 700, 1000), bytes(100, 3));
  subject.io.close(file);
}

function assertStat(subject: Subject, path: string, kind: string, size: number): void {
  const found = subject.io.stat(path);
  assert.deepEqual([found.kind, found.size], [kind, size]);
}
