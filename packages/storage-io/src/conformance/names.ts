import assert from 'node:assert/strict';
import { assertBytes, bytes, type ConformanceCase, errorName, throwsWal } from './subject.js';

/** Opening, listing, renaming, removing: what is done to names. */
export const names: readonly ConformanceCase[] = [
  {
    name: 'opening what is not there is WAL_NOT_FOUND and makes nothing',
    run({ io, directory, ...subject }) {
      const path = `${directory}/missing`;
      const error = throwsWal('WAL_NOT_FOUND', () => io.open(path));
      assert.equal(error.path, path);
      throwsWal('WAL_NOT_FOUND', () => io.open(path, { truncate: true }));
      throwsWal('WAL_NOT_FOUND', () => io.open(`${directory}/missing/file`, { create: true }));
      assert.deepEqual(io.list(directory), []);
      assert.deepEqual(subject, {});
    },
  },
];
