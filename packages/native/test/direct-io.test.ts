import { closeSync, existsSync, readSync, writeSync } from 'node:fs';
import { allocateAligned, available, directIoAlignment, useDirectIo } from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { fileWith, opened, thrownBy } from './files.js';
import { runInWorker } from './programs.js';

const isPowerOfTwo = (value: number): boolean => value > 0 && Number.isInteger(Math.log2(value));

describe.runIf(available && process.platform === 'linux')('direct I/O', () => {
  it('has one alignment for a path and for an open file, and is what the kernel wants', () => {
    const path = fileWith('');
    const fd = opened(path, 'r+');
    const alignment = directIoAlignment(path);
    expect(directIoAlignment(fd)).toEqual(alignment);
    // A file system without direct I/O: nothing more to see here.
    if (alignment === undefined) return;
    expect(isPowerOfTwo(alignment.memory)).toBe(true);
    expect(isPowerOfTwo(alignment.offset)).toBe(true);

    expect(useDirectIo(fd)).toBe(true);
    const bytes = alignment.offset * 4;
    const memory = allocateAligned(bytes, Math.max(alignment.memory, alignment.offset)).fill(3);
    expect(writeSync(fd, memory, 0, bytes, alignment.offset)).toBe(bytes);
    expect(thrownBy(() => writeSync(fd, memory, 0, bytes - 1, 0)).code).toBe('EINVAL');
    expect(thrownBy(() => writeSync(fd, memory, 0, bytes, 1)).code).toBe('EINVAL');
    memory.fill(0);
    expect(readSync(fd, memory, 0, bytes, alignment.offset)).toBe(bytes);
    expect(memory.every((byte) => byte === 3)).toBe(true);
    expect(readSync(opened(path), new Uint8Array(1), 0, 1, bytes)).toBe(1);
  });

  it.runIf(existsSync('/dev/shm'))('is refused in memory', () => {
    expect(directIoAlignment(fileWith('in memory', '/dev/shm'))).toBe(undefined);
  });

  it('is refused by what is no file', () => {
    expect(directIoAlignment(temporaryDirectory())).toBe(undefined);
    expect(directIoAlignment('/dev/null')).toBe(undefined);
    expect(directIoAlignment('/proc/self/stat')).toBe(undefined);
    expect(useDirectIo(opened('/proc/self/stat'))).toBe(false);
  });

  it('reports what is wrong with the file', () => {
    expect(thrownBy(() => directIoAlignment(`${temporaryDirectory()}/missing`)).code).toBe('ENOENT');
    const fd = opened(fileWith(''));
    closeSync(fd);
    expect(thrownBy(() => directIoAlignment(fd))).toMatchObject({ code: 'EBADF', syscall: 'fstat' });
    expect(thrownBy(() => useDirectIo(fd))).toMatchObject({ code: 'EBADF', syscall: 'fcntl' });
    for (const [file, code] of [
      [undefined, 'ERR_INVALID_ARG_TYPE'],
      [1n, 'ERR_INVALID_ARG_TYPE'],
      [{}, 'ERR_INVALID_ARG_TYPE'],
      [-1, 'ERR_OUT_OF_RANGE'],
      [0.5, 'ERR_OUT_OF_RANGE'],
      [2 ** 31, 'ERR_OUT_OF_RANGE'],
    ] as const) {
      expect(thrownBy(() => directIoAlignment(file as number)).code).toBe(code);
      expect(thrownBy(() => useDirectIo(file as number)).code).toBe(code);
    }
  });

  it('leaves an open file as it was when it only asks', () => {
    const fd = opened(fileWith(''), 'r+');
    directIoAlignment(fd);
    expect(writeSync(fd, 'abc', 1)).toBe(3);
  });

  it('is the same in a worker thread', async () => {
    const path = fileWith('content');
    const posted = await runInWorker('parentPort.postMessage(native.directIoAlignment(workerData));', path);
    expect(posted).toEqual(directIoAlignment(path));
  });
});
