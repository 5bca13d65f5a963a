import assert from 'node:assert/strict';
import { WalError } from '@walstack/codec';
import { directorySynced, named } from './power-cuts.js';
import { assertBytes, bytes, type ConformanceCase, type Subject, throwsWal } from './subject.js';

/** Gives a file a second name. @returns whether the backend and the file system can */
function linked(subject: Subject, from: string, to: string): boolean {
  const { io } = subject;
  if (io.link === undefined) return false;
  const before = io.list(subject.directory);
  try {
    io.link(subject.path(from), subject.path(to));
    return true;
  } catch (error) {
    if (!WalError.is(error, 'WAL_UNSUPPORTED') && !WalError.is(error, 'WAL_IO_FAILED')) throw error;
    assert.deepEqual(io.list(subject.directory), before, 'a link that is refused has changed nothing');
    return false;
  }
}

/** Second names of files. A backend without them passes. */
export const links: readonly ConformanceCase[] = [
  {
    name: 'link gives a file a second name: what is written under one is read under the other',
    async run(subject) {
      const { io } = subject;
      const first = subject.open('first');
      await subject.write(first, bytes(700, 1), 0);
      if (!linked(subject, 'first', 'second')) return;
      assert.deepEqual(io.list(subject.directory), ['first', 'second']);
      assertBytes(await subject.content('second'), bytes(700, 1));
      const second = subject.open('second', {});
      await subject.write(second, bytes(300, 2), 700);
      assertBytes(await subject.content('first'), new Uint8Array([...bytes(700, 1), ...bytes(300, 2)]));
      if (io.links?.(first) === undefined) return;
      assert.deepEqual([io.links(first), io.links(second)], [2, 2]);
    },
  },
  {
    name: 'a file with two names has the other one when one is removed, or given to another file',
    async run(subject) {
      const { io } = subject;
      for (const name of ['removed', 'replaced']) {
        await subject.make(name, bytes(700, 1));
        if (!linked(subject, name, `${name}-2`)) return;
      }
      assert.equal(await subject.result(io.submitRemove(subject.path('removed'))), 0);
      await subject.make('from', bytes(300, 2));
      io.rename(subject.path('from'), subject.path('replaced'));
      assert.deepEqual(io.list(subject.directory), ['removed-2', 'replaced', 'replaced-2']);
      for (const name of ['removed-2', 'replaced-2']) {
        assertBytes(await subject.content(name), bytes(700, 1));
        const file = subject.open(name, {});
        if (io.links?.(file) !== undefined) assert.equal(io.links(file), 1);
      }
      assertBytes(await subject.content('replaced'), bytes(300, 2));
    },
  },
  {
    name: 'link refuses a name that is taken, a missing file and a directory, and changes nothing',
    async run(subject) {
      const { io } = subject;
      await subject.make('file', bytes(700, 1));
      await subject.make('taken', bytes(300, 2));
      io.makeDirectory(subject.path('directory'));
      if (!linked(subject, 'file', 'second')) return;
      const link = (from: string, to: string) => io.link?.(subject.path(from), subject.path(to));
      assert.equal(throwsWal('WAL_IO_FAILED', () => link('file', 'taken')).systemCode, 'EEXIST');
      assert.equal(throwsWal('WAL_IO_FAILED', () => link('file', 'directory')).systemCode, 'EEXIST');
      throwsWal('WAL_NOT_FOUND', () => link('missing', 'third'));
      throwsWal('WAL_NOT_FOUND', () => link('file', 'missing/third'));
      throwsWal('WAL_IO_FAILED', () => link('directory', 'third'));
      assert.deepEqual(io.list(subject.directory), ['directory', 'file', 'second', 'taken']);
      assertBytes(await subject.content('taken'), bytes(300, 2));
    },
  },
  {
    name: 'a second name in another directory is durable once that directory is synced',
    needs: 'power cut',
    async run(subject) {
      const { io } = subject;
      await named(subject, 'file', bytes(700, 1));
      io.makeDirectory(subject.path('directory'));
      await directorySynced(subject);
      if (!linked(subject, 'file', 'directory/second')) return;
      await directorySynced(subject, subject.path('directory'));
      assert.equal(await subject.result(io.submitRemove(subject.path('file'))), 0);
      await directorySynced(subject);
      const after = await subject.afterPowerCut();
      assert.deepEqual(after.io.list(after.directory), ['directory']);
      assertBytes(await after.content('directory/second'), bytes(700, 1));
    },
  },
  {
    name: 'a second name that was not synced may be gone after a power cut, and the first one is not',
    needs: 'power cut',
    async run(subject) {
      await named(subject, 'file', bytes(700, 1));
      if (!linked(subject, 'file', 'second')) return;
      const after = await subject.afterPowerCut();
      assertBytes(await after.content('file'), bytes(700, 1));
    },
  },
];
