import type * as Fs from 'node:fs';
import { copyFileSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import type * as Native from '@walstack/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { lockPath } from '../src/lock/lock-file.js';

// Two mounts of one directory take root: harness/test/lock-views.test.ts has them. Here a file that is open looks as if it
// was opened by another mount, from which a lock of the kernel does not reach.

/** The path whose open files lie on another mount. */
let onAnotherMount: string | undefined;
/** Whether open files of processes may be looked at. */
let allowed = true;

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  const statSyncOf = (path: string, ...rest: unknown[]): unknown => {
    const found = (fs.statSync as (...args: unknown[]) => Fs.BigIntStats)(path, ...rest);
    if (!path.startsWith('/proc/') || fs.readlinkSync(path) !== onAnotherMount) return found;
    return { dev: found.dev + 1n, ino: found.ino, mtimeNs: found.mtimeNs };
  };
  const readdirSyncOf = (path: string): string[] => {
    if (!allowed && path.endsWith('/fd')) throw Object.assign(new Error('EACCES'), { code: 'EACCES' });
    return fs.readdirSync(path);
  };
  return { ...fs, statSync: statSyncOf, readdirSync: readdirSyncOf };
});

vi.mock('@walstack/native', async (original) => ({
  ...(await original<typeof Native>()),
  fileLocksUnavailableReason: undefined,
  holdLock: () => () => {},
}));

let temporary: ReturnType<typeof removableDirectory>;
let path: string;

beforeEach(() => {
  temporary = removableDirectory();
  path = `${temporary.directory}/LOCK`;
  onAnotherMount = undefined;
  allowed = true;
});

afterEach(() => temporary.destroy());

function refusal(): unknown {
  try {
    lockPath(path);
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('the lock was had');
}

describe.runIf(process.platform === 'linux')(
  'a lock that the kernel grants, on a file that names a live holder',
  () => {
    it('is refused where the holder has the same file open through another mount, and the file is left as it was', () => {
      const release = lockPath(path);
      const content = readFileSync(path);
      const { mtimeMs } = statSync(path);
      onAnotherMount = path;
      expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held', holder: `process ${process.pid}` });
      expect(readFileSync(path)).toEqual(content);
      expect(Math.abs(statSync(path).mtimeMs - mtimeMs)).toBeLessThan(10);
      release();
      lockPath(path)();
    });

    it('is granted where the file is a copy', () => {
      const release = lockPath(path);
      onAnotherMount = path;
      mkdirSync(`${temporary.directory}/copy`);
      copyFileSync(path, `${temporary.directory}/copy/LOCK`);
      lockPath(`${temporary.directory}/copy/LOCK`)();
      release();
    });

    it('is granted where the open files of the holder cannot be read: the file may be a copy', () => {
      lockPath(path);
      onAnotherMount = path;
      allowed = false;
      lockPath(path)();
    });
  },
);
