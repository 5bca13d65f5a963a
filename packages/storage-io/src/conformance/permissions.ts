import assert from 'node:assert/strict';
import { chmodSync, closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { StorageIo } from '../storage-io.js';
import { assertBytes, bytes, type ConformanceCase, type Subject } from './subject.js';

/** Permissions of what is made, and opening what may only be read. */
export const permissions: readonly ConformanceCase[] = [
  {
    name: 'what is made has the permissions that were asked for, whatever the umask, and keeps them',
    run(subject) {
      const { io } = subject;
      for (const mode of [0o600, 0o640, 0o644, 0o666]) {
        for (const exclusive of [false, true]) {
          const name = `file-${mode}-${exclusive}`;
          io.close(subject.open(name, { create: true, exclusive, mode }));
          if (!hasModes(io, subject.path(name))) return;
          assertMode(subject, name, mode);
        }
        io.lock(subject.path(`lock-${mode}`), mode)();
        assertMode(subject, `lock-${mode}`, mode);
      }
      for (const mode of [0o700, 0o750, 0o755, 0o777]) {
        io.makeDirectory(subject.path(`directory-${mode}`), mode);
        assertMode(subject, `directory-${mode}`, mode);
      }
      const kept = `file-${0o644}-true`;
      io.close(subject.open(kept, { create: true, mode: 0o600 }));
      io.close(subject.open(kept, { create: true, truncate: true, mode: 0o600 }));
      io.lock(subject.path(kept), 0o600)();
      io.rename(subject.path(kept), subject.path('renamed'));
      assertMode(subject, 'renamed', 0o644);
    },
  },
  {
    name: 'what is made without permissions is for its owner only',
    run(subject) {
      const { io } = subject;
      io.close(subject.open('file'));
      if (!hasModes(io, subject.path('file'))) return;
      io.makeDirectory(subject.path('directory'));
      io.lock(subject.path('lock'))();
      assertMode(subject, 'file', 0o600);
      assertMode(subject, 'lock', 0o600);
      assertMode(subject, 'directory', 0o700);
    },
  },
  {
    name: 'permissions that are none are refused, and nothing is made',
    run(subject) {
      const { io } = subject;
      for (const wrong of [-1, 0o1000, 0.5, Number.NaN]) {
        assert.throws(() => subject.open('file', { create: true, mode: wrong }), RangeError);
        assert.throws(() => io.makeDirectory(subject.path('directory'), wrong), RangeError);
        assert.throws(() => io.lock(subject.path('lock'), wrong), RangeError);
      }
      const text = '600' as unknown as number;
      assert.throws(() => subject.open('file', { create: true, mode: text }), TypeError);
      assert.throws(() => io.makeDirectory(subject.path('directory'), text), TypeError);
      assert.throws(() => io.lock(subject.path('lock'), text), TypeError);
      assert.deepEqual(io.list(subject.directory), []);
    },
  },
  {
    name: 'a file that is opened for reading only need not be writable',
    async run(subject) {
      const { io } = subject;
      if (!io.capabilities.realFiles || process.platform === 'win32') return;
      await subject.make('file', bytes(4096));
      const path = join(subject.directory, 'file');
      // There are file systems on which these change nothing.
      chmodSync(path, 0o444);
      chmodSync(subject.directory, 0o755);
      const opened = withoutTheRightToWrite(path, () => {
        const file = subject.open('file', { readOnly: true });
        const shared = io.capabilities.fileLocks ? io.lockFile(file, 'shared') : true;
        return { file, shared, stat: io.stat(subject.path('file')) };
      });
      if (opened === undefined) return;
      assert.equal(opened.shared, true, 'it can be locked against being reused');
      assert.equal(opened.stat.size, 4096);
      assertBytes(await subject.read(opened.file, 0, 5000), bytes(4096));
    },
  },
];

const hasModes = (io: StorageIo, path: string): boolean => io.stat(path).mode !== undefined;

function assertMode(subject: Subject, name: string, mode: number): void {
  const found = subject.io.stat(subject.path(name)).mode ?? 0;
  assert.equal(found.toString(8), mode.toString(8), `the permissions of ${name}`);
}

/** The user that root becomes for a moment: any that owns nothing. */
const ANOTHER_USER = 65_534;

/**
 * Calls `use` as a user that may read a file and not write it; root becomes another user meanwhile.
 *
 * @returns `undefined` when this process cannot be one
 */
function withoutTheRightToWrite<T>(path: string, use: () => T): T | undefined {
  if (process.geteuid?.() !== 0) return mayOnlyRead(path) ? use() : undefined;
  try {
    process.seteuid?.(ANOTHER_USER);
  } catch {
    // A worker thread has no effective user of its own, and a container may have one user only.
    return undefined;
  }
  try {
    return mayOnlyRead(path) ? use() : undefined;
  } finally {
    process.seteuid?.(0);
  }
}

function mayOnlyRead(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
  } catch {
    // Or a directory above it may not be searched.
    return false;
  }
  try {
    closeSync(openSync(path, 'r+'));
    return false;
  } catch {
    return true;
  }
}
