import assert from 'node:assert/strict';
import type { CompletionBuffer } from '../completion-buffer.js';
import type { IoFile, StorageIo } from '../storage-io.js';
import { bytes, type ConformanceCase } from './subject.js';

type Call = (io: StorageIo, file: IoFile, value: never) => unknown;

const NOT_BYTES: readonly unknown[] = [
  'text',
  undefined,
  null,
  5,
  [1, 2],
  { length: 3 },
  new ArrayBuffer(4),
  new Uint16Array(2),
  new DataView(new ArrayBuffer(4)),
];
const NOT_NUMBERS: readonly unknown[] = ['0', undefined, null, 0n, {}, [0], true];
const NOT_POSITIONS: readonly unknown[] = [Number.NaN, -1, 0.5, Number.POSITIVE_INFINITY, -0.1, 2 ** 53, -(2 ** 53)];
const NOT_STRINGS: readonly unknown[] = [undefined, null, 5, {}, Buffer.from('path')];
const NOT_PATHS: readonly unknown[] = ['', 'a\0b'];

function refuses(io: StorageIo, file: IoFile, values: readonly unknown[], code: string, calls: readonly Call[]): void {
  const kind = code === 'ERR_INVALID_ARG_TYPE' ? TypeError : RangeError;
  for (const value of values) {
    for (const call of calls) {
      const before = io.stats().submitted;
      const what = `${call} with ${typeof value} ${String(value)}`;
      assert.throws(
        () => call(io, file, value as never),
        (error: unknown) => {
          assert.ok(error instanceof kind, `${what}: expected ${kind.name}, got ${error}`);
          assert.equal((error as NodeJS.ErrnoException).code, code, what);
          return true;
        },
        what,
      );
      assert.equal(io.stats().submitted, before, `${what}: nothing may be submitted`);
      assert.equal(io.pending, 0);
    }
  }
}

/** A test that opens a file, and finds it as it was in the end. */
const withFile = (name: string, check: (io: StorageIo, file: IoFile) => void): ConformanceCase => ({
  name,
  async run(subject) {
    const file = subject.open('file');
    await subject.write(file, bytes(10), 0);
    check(subject.io, file);
    assert.equal(subject.io.size(file), 10);
    assert.deepEqual(subject.io.list(subject.directory), ['file']);
  },
});

const onBytes: readonly Call[] = [
  (io, file, value) => io.submitWrite(file, value, 0),
  (io, file, value) => io.submitAppend(file, value),
  (io, file, value) => io.submitRead(file, value, 0),
];
const onPositions: readonly Call[] = [
  (io, file, value) => io.submitWrite(file, bytes(1), value),
  (io, file, value) => io.submitRead(file, bytes(1), value),
  (io, file, value) => io.submitTruncate(file, value),
  (io, file, value) => io.submitAllocate(file, value, 1),
  (io, file, value) => io.submitAllocate(file, 0, value),
  (io, _file, value) => io.allocateBuffer(value),
];
const onPaths: readonly Call[] = [
  (io, _file, value) => io.open(value, { create: true }),
  (io, _file, value) => io.list(value),
  (io, file, value) => io.rename(value, file.path),
  (io, file, value) => io.rename(file.path, value),
  (io, _file, value) => io.makeDirectory(value),
  (io, _file, value) => io.stat(value),
  (io, _file, value) => io.lock(value),
  (io, _file, value) => io.submitSyncDirectory(value),
  (io, _file, value) => io.submitRemove(value),
];

/** Wrong arguments are refused with Node's error codes, before anything is done. */
export const wrongArguments: readonly ConformanceCase[] = [
  withFile('data that is not a Uint8Array is a TypeError', (io, file) => {
    refuses(io, file, NOT_BYTES, 'ERR_INVALID_ARG_TYPE', onBytes);
  }),
  withFile('an offset or a size that is not a number is a TypeError', (io, file) => {
    refuses(io, file, NOT_NUMBERS, 'ERR_INVALID_ARG_TYPE', onPositions);
  }),
  withFile('an offset or a size that is NaN, negative, fractional or too large is a RangeError', (io, file) => {
    refuses(io, file, NOT_POSITIONS, 'ERR_OUT_OF_RANGE', onPositions);
  }),
  withFile('a range that ends after the largest safe integer is a RangeError', (io, file) => {
    refuses(io, file, [Number.MAX_SAFE_INTEGER], 'ERR_OUT_OF_RANGE', [
      (backend, open, value) => backend.submitWrite(open, bytes(2), value),
      (backend, open, value) => backend.submitRead(open, bytes(2), value),
      (backend, open, value) => backend.submitAllocate(open, value, 2),
    ]);
  }),
  withFile(
    'a path that is not a string is a TypeError; an empty one, or one with a zero character, is a RangeError',
    (io, file) => {
      refuses(io, file, NOT_STRINGS, 'ERR_INVALID_ARG_TYPE', onPaths);
      refuses(io, file, NOT_PATHS, 'ERR_OUT_OF_RANGE', onPaths);
    },
  ),
  withFile('options of another type are a TypeError', (io, file) => {
    refuses(io, file, ['yes', 1, null], 'ERR_INVALID_ARG_TYPE', [
      (backend, open, value) => backend.open(open.path, { create: value }),
      (backend, open, value) => backend.open(open.path, { truncate: value }),
      (backend, open, value) => backend.open(open.path, { direct: value }),
      (backend, open, value) => backend.open(open.path, { create: true, exclusive: value }),
      (backend, open, value) => backend.submitWrite(open, bytes(1), 0, { durable: value }),
    ]);
  }),
  withFile('completions are put into a CompletionBuffer only', (io, file) => {
    refuses(io, file, [undefined, null, {}, [], new Float64Array(4)], 'ERR_INVALID_ARG_TYPE', [
      (backend, _file, value) => backend.pollCompletions(value as CompletionBuffer),
    ]);
  }),
  withFile('a lock mode is shared or exclusive', (io, file) => {
    if (!io.capabilities.fileLocks) return;
    refuses(io, file, ['both', ''], 'ERR_OUT_OF_RANGE', [(backend, open, value) => backend.lockFile(open, value)]);
  }),
];
