import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { fileLocksUnavailableReason, lockFile } from '@walstack/native';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ForgetFs, forgetFsUnavailable } from '../src/fuse/forgetfs.js';

const unavailable = await forgetFsUnavailable();

describe.skipIf(unavailable !== undefined)(`forgetfs (${unavailable ?? 'it can be mounted'})`, () => {
  let fs: ForgetFs;

  beforeEach(async () => {
    fs = await ForgetFs.mount();
  });

  afterEach(async () => {
    await fs.unmount();
  });

  const at = (name: string): string => join(fs.path, name);

  const synced = (path: string): void => {
    const fd = openSync(path, 'r');
    fsyncSync(fd);
    closeSync(fd);
  };

  function written(name: string, text: string): void {
    writeFileSync(at(name), text);
    synced(at(name));
    synced(fs.path);
  }

  test('passes through and counts what reaches it', () => {
    const fd = openSync(at('file'), 'w+');
    writeSync(fd, 'hello', 3);
    fdatasyncSync(fd);
    fsyncSync(fd);
    closeSync(fd);
    expect(readFileSync(at('file'), 'utf8')).toBe('\0\0\0hello');
    expect(readFileSync(join(fs.files, 'file'), 'utf8')).toBe('\0\0\0hello');
    const { total, files, unsyncedNames } = fs.report();
    expect(total).toMatchObject({ create: 1, write: 1, fdatasync: 1, fsync: 1, bytesWritten: 5 });
    expect(files['file']).toMatchObject({ write: 1, fdatasync: 1, fsync: 1, flush: 2, unsynced: 0 });
    expect(unsyncedNames).toBe(1);
    fs.reset();
    expect(fs.report().total).toMatchObject({ write: 0, fsync: 0 });
  });

  test('a file that is opened to be written anew is empty, and after a power cut what it was', async () => {
    written('file', 'a long text');
    const fd = openSync(at('file'), 'w');
    writeSync(fd, 'short', 0);
    expect(readFileSync(join(fs.files, 'file'), 'utf8')).toBe('short');
    expect(fs.report().files['file']).toMatchObject({ truncate: 1, unsynced: 2 });
    fs.cut();
    closeSync(fd);
    await fs.remount();
    expect(readFileSync(at('file'), 'utf8')).toBe('a long text');
  });

  test('forgets the bytes that no sync of the file covers', async () => {
    written('file', 'first');
    const fd = openSync(at('file'), 'r+');
    writeSync(fd, 'F', 0);
    fdatasyncSync(fd);
    writeSync(fd, '!!', 4);
    ftruncateSync(fd, 2);
    writeSync(fd, 'xyz', 1);
    expect(fs.report().files['file']).toMatchObject({ unsynced: 3 });
    fs.cut();
    closeSync(fd);
    expect(() => readdirSync(fs.path)).toThrow('EIO');
    await fs.remount();
    expect(readFileSync(at('file'), 'utf8')).toBe('First');
  });

  test('forgets names that no sync of their directory covers', async () => {
    written('kept', 'kept');
    written('replaced', 'replaced');
    written('removed', 'removed');
    mkdirSync(at('folder'));
    writeFileSync(join(at('folder'), 'inside'), 'inside');
    renameSync(at('kept'), at('replaced'));
    rmSync(at('removed'));
    writeFileSync(at('new'), 'new');
    synced(at('new'));
    fs.cut();
    await fs.remount();
    expect(readdirSync(fs.path).sort()).toEqual(['kept', 'removed', 'replaced']);
    for (const name of readdirSync(fs.path)) expect(readFileSync(at(name), 'utf8')).toBe(name);
  });

  test('keeps names that were synced, and what was removed is gone', async () => {
    written('first', 'first');
    written('second', 'second');
    renameSync(at('first'), at('second'));
    synced(fs.path);
    rmSync(at('second'));
    fs.cut();
    await fs.remount();
    expect(readdirSync(fs.path)).toEqual(['second']);
    expect(readFileSync(at('second'), 'utf8')).toBe('first');
  });

  test('a sync that is made to fail loses the bytes, until they are written again', async () => {
    written('file', 'aaaaaaaaaa');
    const fd = openSync(at('file'), 'r+');
    writeSync(fd, 'bbbbbbbbbb', 0);
    fs.fail('EIO', { operation: 'sync' });
    expect(() => fdatasyncSync(fd)).toThrow('EIO');
    fdatasyncSync(fd);
    writeSync(fd, 'cccc', 3);
    fdatasyncSync(fd);
    expect(fs.report().files['file']).toMatchObject({ unsynced: 0, lost: 2 });
    closeSync(fd);
    expect(readFileSync(at('file'), 'utf8')).toBe('bbbccccbbb');
    fs.cut();
    await fs.remount();
    expect(readFileSync(at('file'), 'utf8')).toBe('aaaccccaaa');
  });

  test('fails the operation that it is told to, so often, of the files that are meant', () => {
    fs.fail('ENOSPC', { operation: 'write', nth: 2, times: 2, pattern: 'f*' });
    const write = (name: string) => (): void => writeFileSync(at(name), name);
    write('file')();
    write('other')();
    expect(write('file')).toThrow('ENOSPC');
    write('other')();
    expect(write('file')).toThrow('ENOSPC');
    write('file')();
    expect(fs.report().rules).toBe(0);
    fs.fail('EROFS', { operation: 'any', times: 0 });
    expect(write('file')).toThrow('EROFS');
    expect(write('file')).toThrow('EROFS');
    fs.clear();
    write('file')();
    expect(() => fs.control('fail write 1 ENOTHING')).toThrow('EINVAL');
  });

  test('delays what it is told to', () => {
    fs.delay(50, { operation: 'unlink' });
    writeFileSync(at('file'), '');
    const before = performance.now();
    rmSync(at('file'));
    expect(performance.now() - before).toBeGreaterThan(40);
    expect(existsSync(at('file'))).toBe(false);
  });

  test.skipIf(fileLocksUnavailableReason !== undefined).each(['ENOSYS', 'EOPNOTSUPP', 'EINVAL', 'ENOLCK'])(
    'without locks of open files: %s',
    async (code) => {
      await fs.remount({ locks: code });
      const fd = openSync(at('file'), 'w+');
      const before = fs.report().total.lock;
      try {
        lockFile(fd, 'exclusive');
      } catch {
        // What becomes of it is not its own matter.
      }
      expect(fs.report().total.lock).toBeGreaterThan(before);
      closeSync(fd);
    },
  );
});
