import type * as Fs from 'node:fs';
import { existsSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { WalError } from '@walstack/codec';
import type * as Native from '@walstack/native';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { createSyncFsStorageIo } from '../src/backends/node-fs/sync-fs.js';
import { createThreadPoolStorageIo } from '../src/backends/node-fs/thread-pool.js';
import { lockPath } from '../src/lock/lock-file.js';
import type { StorageIo } from '../src/storage-io.js';
import { poll, turn } from './polling.js';

// What cannot be seen from outside: which calls of node:fs are made, and what becomes of one that fails in the middle.

/** Called before each call of `node:fs`; what it throws, the call throws. */
let before: (name: string, ...args: unknown[]) => void;

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof Fs>();
  const watched = [
    'openSync',
    'readFileSync',
    'readlinkSync',
    'closeSync',
    'writeSync',
    'unlinkSync',
    'symlinkSync',
    'fdatasyncSync',
    'fsyncSync',
    'open',
    'close',
    'fdatasync',
    'fsync',
    'write',
  ] as const;
  const replaced = watched.map((name) => [
    name,
    (...args: unknown[]): unknown => {
      before?.(name, ...args);
      return (fs[name] as (...given: unknown[]) => unknown)(...args);
    },
  ]);
  return { ...fs, ...Object.fromEntries(replaced) };
});

// The lock as it is without the addon: with it, nobody comes in between who has it, too.
vi.mock('@walstack/native', async (original) => ({
  ...(await original<typeof Native>()),
  available: false,
  fileLocksUnavailableReason: 'It is not asked for here.',
}));

let temporary: ReturnType<typeof removableDirectory>;
let calls: string[];

beforeEach(() => {
  temporary = removableDirectory();
  calls = [];
  before = (name) => calls.push(name);
});

afterEach(() => {
  before = () => {};
  temporary.destroy();
});

const failing = (code: string): Error => Object.assign(new Error(code), { code });

async function result(io: StorageIo, token: number): Promise<number> {
  for (;;) {
    const [completion] = poll(io);
    if (completion !== undefined) {
      expect(completion[0]).toBe(token);
      return completion[1];
    }
    await turn();
  }
}

describe.each([
  ['sync-fs', createSyncFsStorageIo, 'Sync'],
  ['thread-pool', createThreadPoolStorageIo, ''],
])('%s', (_name, create, suffix) => {
  it('makes a datasync of a datasync, on the file', async () => {
    const io = create();
    const file = io.open(`${temporary.directory}/file`, { create: true });
    await result(io, io.submitWrite(file, Buffer.from('abc'), 0));
    calls = [];
    expect(await result(io, io.submitDatasync(file))).toBe(0);
    expect(calls).toEqual([`fdatasync${suffix}`]);
    await io.dispose();
  });

  it.runIf(process.platform !== 'win32')('syncs a directory, and closes it again', async () => {
    const io = create();
    expect(await result(io, io.submitSyncDirectory(temporary.directory))).toBe(0);
    expect(calls).toEqual(['open', 'fsync', 'close'].map((call) => call + suffix));
    await io.dispose();
  });

  it('writes once for a write', async () => {
    const io = create();
    const file = io.open(`${temporary.directory}/file`, { create: true });
    calls = [];
    await result(io, io.submitWrite(file, new Uint8Array(100_000), 0));
    expect(calls).toEqual([`write${suffix}`]);
    await io.dispose();
  });
});

describe('locking', () => {
  const path = (): string => `${temporary.directory}/LOCK`;
  const second = (): string => `${path()}.takeover`;

  function refusal(): WalError {
    try {
      lockPath(path());
    } catch (error) {
      if (WalError.is(error)) return error;
      throw error;
    }
    throw new Error('the lock was had');
  }

  /** Does something just before the first call that `when` describes. */
  function justBefore(when: (name: string, ...args: unknown[]) => boolean, then: () => void): void {
    before = (name, ...args) => {
      if (!when(name, ...args)) return;
      before = () => {};
      then();
    };
  }

  it('checks again under the takeover file: another process may have been quicker', () => {
    lockPath(path())();
    let releaseOther: (() => void) | undefined;
    justBefore(
      (name, _, file) => name === 'symlinkSync' && file === second(),
      () => {
        releaseOther = lockPath(path());
      },
    );
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held', holder: `process ${process.pid}` });
    expect(existsSync(second())).toBe(false);
    expect(refusal().code).toBe('WAL_LOCKED');
    releaseOther?.();
    lockPath(path())();
  });

  it('makes sure that it has locked the file that is at the path', () => {
    lockPath(path())();
    justBefore(
      (name) => name === 'unlinkSync',
      () => {
        renameSync(path(), `${path()}.away`);
        writeFileSync(path(), '');
      },
    );
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'taking-over' });
    expect(JSON.parse(readFileSync(`${path()}.away`, 'utf8'))).toMatchObject({ state: 'free' });
    lockPath(path())();
  });

  it('makes sure that what it wrote is there', () => {
    const foreign = JSON.stringify({ state: 'held' });
    justBefore(
      (name) => name === 'unlinkSync',
      () => writeFileSync(path(), foreign),
    );
    expect(refusal().code).toBe('WAL_LOCKED');
    expect(readFileSync(path(), 'utf8')).toBe(foreign);
  });

  it.runIf(process.platform !== 'win32')('makes the takeover file with its content, in one call', () => {
    const made: string[] = [];
    before = (name, ...args) => {
      if (name !== 'unlinkSync' && args.includes(second())) made.push(name);
    };
    lockPath(path())();
    expect(made).toEqual(['symlinkSync']);
  });

  it('omits the content of the takeover file where the disk is full', () => {
    lockPath(path())();
    let writes = 0;
    before = (name) => {
      if (name === 'symlinkSync') throw failing('ENOSPC');
      if (name !== 'writeSync') return;
      writes += 1;
      if (writes === 1) throw failing('ENOSPC');
    };
    const release = lockPath(path());
    expect(existsSync(second())).toBe(false);
    expect(refusal().code).toBe('WAL_LOCKED');
    release();
  });

  it('uses a hard link to the lock file as takeover file where the disk has no room for a file', () => {
    lockPath(path())();
    let another: number | undefined;
    before = (name, file) => {
      if (name === 'symlinkSync' || (name === 'openSync' && file === second())) throw failing('ENOSPC');
      if (name === 'writeSync') another ??= statSync(second()).ino;
    };
    const release = lockPath(path());
    expect(another).toBe(statSync(path()).ino);
    expect(existsSync(second())).toBe(false);
    before = () => {};
    expect(refusal().code).toBe('WAL_LOCKED');
    release();
    lockPath(path())();
  });

  it('leaves nothing behind when it cannot write the lock', () => {
    let writes = 0;
    before = (name) => {
      if (name !== 'writeSync') return;
      writes += 1;
      if (writes === 1) throw failing('ENOSPC');
    };
    expect(refusal()).toMatchObject({ code: 'WAL_NO_SPACE', path: path() });
    expect(existsSync(second())).toBe(false);
    lockPath(path())();
  });

  it('releases the lock when the takeover file cannot be removed', () => {
    let refused = false;
    before = (name) => {
      if (name !== 'unlinkSync' || refused) return;
      refused = true;
      throw failing('EACCES');
    };
    expect(refusal()).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EACCES' });
    expect(JSON.parse(readFileSync(path(), 'utf8'))).toMatchObject({ state: 'free' });
    lockPath(path())();
  });

  it.runIf(process.platform === 'linux')('counts a holder as alive whose state it cannot read', () => {
    const release = lockPath(path());
    for (const file of [`/proc/${process.pid}/stat`, `/proc/${process.pid}/task/`]) {
      before = (name, path) => {
        if (name === 'readFileSync' && String(path).startsWith(file)) throw failing('EMFILE');
      };
      expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
    }
    release();
  });

  it.runIf(process.platform === 'linux')('uses only the pid where /proc shows another pid namespace', () => {
    const release = lockPath(path());
    const fields = JSON.parse(readFileSync(path(), 'utf8'));
    release();
    // By /proc another process has the number of the holder by now.
    const held = JSON.stringify({ ...fields, startTime: '1' }).padEnd(512);
    writeFileSync(path(), held);
    before = (name, file) => {
      if (name === 'readlinkSync' && file === '/proc/self') throw failing('ENOENT');
    };
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
    before = () => {};
    lockPath(path())();
  });

  it('closes whatever it opened', () => {
    lockPath(path())();
    const count = { opened: 0, closed: 0 };
    before = (name) => {
      if (name === 'openSync') count.opened += 1;
      if (name === 'closeSync') count.closed += 1;
    };
    const release = lockPath(path());
    refusal();
    release();
    release();
    expect(count.closed).toBe(count.opened);
  });
});
