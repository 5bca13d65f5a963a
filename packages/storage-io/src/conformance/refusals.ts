import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import type { IoFile } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, errorName } from './subject.js';

/** Divisible by every power of two to which a backend may wrongly truncate an offset. */
const FAR_BEHIND = 2 ** 52;

/** On Linux every write to it fails. */
const FULL_DEVICE = '/dev/full';

/** Every write to it succeeds, and on Linux every sync fails. */
const NULL_DEVICE = '/dev/null';

/** Operations that cannot be done report it, and change nothing. */
export const refusals: readonly ConformanceCase[] = [
  {
    name: 'a write at an offset near the limit succeeds or fails, and changes nothing else',
    async run(subject) {
      const { io } = subject;
      const file = subject.open('file');
      await subject.write(file, bytes(6000, 1), 0);
      const at = FAR_BEHIND + 2000;
      const result = await subject.result(io.submitWrite(file, bytes(10, 2), at));
      if (result < 0) {
        assert.equal(io.size(file), 6000, `it failed with ${errorName(result)}`);
      } else {
        assert.equal(result, 10);
        assert.equal(io.size(file), at + 10);
        assertBytes(await subject.read(file, at, 100), bytes(10, 2));
      }
      assertBytes(await subject.read(file, 0, 6000), bytes(6000, 1));
    },
  },
  {
    name: 'writes and syncs of a full device end with the error of the system',
    async run(subject) {
      const { io } = subject;
      if (!io.capabilities.realFiles || !existsSync(FULL_DEVICE)) return;
      const file: IoFile = io.open(FULL_DEVICE, {});
      assert.equal(errorName(await subject.result(io.submitWrite(file, bytes(100), 0))), 'ENOSPC');
      assert.equal(errorName(await subject.result(io.submitAppend(file, bytes(100)))), 'ENOSPC');
      io.close(file);
      // Of another file: one of which no write has succeeded need not be synced.
      const written = io.open(NULL_DEVICE, {});
      await subject.write(written, bytes(100), 0);
      assert.ok((await subject.result(io.submitDatasync(written))) < 0, 'a sync that the system refuses');
      io.close(written);
    },
  },
  {
    name: 'an open that exclusive refuses does not change the file',
    async run(subject) {
      await subject.make('file', bytes(700));
      for (const truncate of [false, true]) {
        assert.throws(() => subject.open('file', { create: true, exclusive: true, truncate }));
        assertBytes(await subject.content('file'), bytes(700));
      }
    },
  },
  {
    name: 'makeDirectory and rename do not replace an existing directory, nor change its files',
    async run(subject) {
      const { io } = subject;
      for (const name of ['taken', 'other']) {
        io.makeDirectory(subject.path(name));
        await subject.make(`${name}/file`, bytes(100, name.length));
      }
      await subject.make('plain', bytes(10));
      assert.throws(() => io.makeDirectory(subject.path('taken')));
      assert.throws(() => io.rename(subject.path('other'), subject.path('taken')));
      assert.throws(() => io.rename(subject.path('plain'), subject.path('taken')));
      assert.deepEqual(io.list(subject.directory), ['other', 'plain', 'taken']);
      for (const name of ['taken', 'other'])
        assertBytes(await subject.content(`${name}/file`), bytes(100, name.length));
    },
  },
  {
    name: 'renaming a file to its own name does not change it',
    async run(subject) {
      await subject.make('file', bytes(300));
      subject.io.rename(subject.path('file'), subject.path('file'));
      assertBytes(await subject.content('file'), bytes(300));
    },
  },
];
