import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { WalError } from '@walstack/codec';
import { fileLocksUnavailableReason } from '@walstack/native';
import { createSyncFsStorageIo, createThreadPoolStorageIo, lockPath } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { fileSystemOf, isKernelsBoot } from '../src/lock/lock-holder.js';
import { environmentOf, killAll, LockingProcess } from './locking-process.js';

const CHILD = fileURLToPath(new URL('lock-child.mjs', import.meta.url));
const RACER = fileURLToPath(new URL('lock-racer.mjs', import.meta.url));
const WORKER = new URL('lock-worker.mjs', import.meta.url);

const onLinux = process.platform === 'linux';
const ANOTHER_BOOT = '00000000-0000-0000-0000-000000000000';

/** Whether this process locks with the addon. */
const withAddon = fileLocksUnavailableReason === undefined;

let temporary: ReturnType<typeof removableDirectory>;
let path: string;

beforeEach(() => {
  temporary = removableDirectory();
  path = `${temporary.directory}/LOCK`;
});

afterEach(async () => {
  await killAll();
  temporary.destroy();
});

function refusal(take: () => unknown = () => lockPath(path)): WalError {
  try {
    take();
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('the lock was had');
}

/** What a lock file says that this process holds, as one without the addon writes it, with changes. */
function content(changes: Record<string, unknown>): string {
  const sample = `${path}.sample`;
  const release = lockPath(sample);
  const fields = JSON.parse(readFileSync(sample, 'utf8'));
  release();
  return JSON.stringify({ ...fields, kernelLock: false, ...changes }).padEnd(512);
}

describe('the lock between processes', () => {
  it('is refused to a second process, with the holder in the error', async () => {
    const holder = LockingProcess.start(path);
    const { locked, pid } = await holder.told();
    expect(locked).toBe(true);
    const other = LockingProcess.start(path);
    expect(await other.told()).toMatchObject({
      locked: false,
      code: 'WAL_LOCKED',
      holder: `process ${pid}`,
      reason: 'held',
      message: expect.stringContaining('close the log there'),
    });
    const error = refusal();
    expect(error).toMatchObject({ code: 'WAL_LOCKED', path, holder: `process ${pid}` });
  });

  it('is refused to another process while this one holds it', async () => {
    const release = lockPath(path);
    expect(await LockingProcess.start(path).told()).toMatchObject({
      code: 'WAL_LOCKED',
      holder: `process ${process.pid}`,
    });
    release();
    expect(await LockingProcess.start(path).told()).toMatchObject({ locked: true });
  });

  it('is free at once when its holder releases it and stays alive', async () => {
    const holder = LockingProcess.start(path);
    await holder.told();
    holder.say('release');
    expect(await holder.told()).toMatchObject({ released: true });
    lockPath(path)();
  });

  it('is free at once when its holder was killed', async () => {
    for (let round = 0; round < 3; round++) {
      const holder = LockingProcess.start(path);
      expect(await holder.told()).toMatchObject({ locked: true });
      await holder.killed();
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ state: 'held', pid: holder.process.pid });
    }
    const release = lockPath(path);
    expect(refusal().holder).toBe(`process ${process.pid}`);
    release();
  });

  it('is free when its holder ended without releasing it', async () => {
    const holder = LockingProcess.start(path);
    await holder.told();
    const gone = once(holder.process, 'exit');
    holder.say('exit');
    await gone;
    lockPath(path)();
  });

  it.runIf(onLinux)('is free when its holder is a zombie', async () => {
    // The shell becomes a program that never waits for its children.
    const script = `"$0" "$1" "$2" < /dev/null & exec sleep 600`;
    const shell = new LockingProcess(
      spawn('/bin/sh', ['-c', script, process.execPath, CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] }),
    );
    const { pid, locked } = await shell.told();
    expect(locked).toBe(true);
    const isZombie = (): boolean => /\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    const threads = (): number => readdirSync(`/proc/${pid}/task`).length;
    // Standard input is at its end, so the child may be about to end by itself; it is dead soon either way.
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It was quicker.
    }
    while (!isZombie() || threads() > 1) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(() => process.kill(pid, 0)).not.toThrow();
    lockPath(path)();
  });

  it('never has two holders, whatever processes and threads compete', async () => {
    const racers = Array.from({ length: 4 }, (_, index) => {
      const env = environmentOf(index % 2 === 0 ? 'with addon' : 'without addon');
      const child = spawn(process.execPath, [RACER, path, '60'], { stdio: ['ignore', 'pipe', 'inherit'], env });
      let output = '';
      child.stdout.on('data', (chunk) => {
        output += chunk;
      });
      return once(child, 'close').then(([code]) => ({ code, output }));
    });
    for (const { code, output } of await Promise.all(racers)) {
      expect(code).toBe(0);
      expect(JSON.parse(output)).toMatchObject({ entered: 60 });
    }
    expect(existsSync(`${path}.takeover`)).toBe(false);
  });
});

describe('the lock within one process', () => {
  it('is refused to another backend', async () => {
    const one = createSyncFsStorageIo();
    const two = createThreadPoolStorageIo();
    one.lock(path);
    expect(refusal(() => two.lock(path))).toMatchObject({
      code: 'WAL_LOCKED',
      message: expect.stringContaining('held by this process'),
    });
    await one.dispose();
    two.lock(path);
    expect(refusal(() => lockPath(path)).code).toBe('WAL_LOCKED');
    await two.dispose();
  });

  it('is refused while a worker thread holds it, and free when that has ended', async () => {
    const worker = new Worker(WORKER, { workerData: path });
    await once(worker, 'message');
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', message: expect.stringContaining('held by this process') });
    await worker.terminate();
    if (!onLinux) return;
    lockPath(path)();
  });

  it.runIf(onLinux)('is free when a worker thread that leaves its files open was terminated', async () => {
    const worker = new Worker(WORKER, { workerData: path, trackUnmanagedFds: false });
    await once(worker, 'message');
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
    await worker.terminate();
    const release = lockPath(path);
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
    release();
  });
});

describe('the lock file', () => {
  it('is written in place: one size, one file, never removed', () => {
    lockPath(path)();
    const { ino } = statSync(path);
    for (let round = 0; round < 3; round++) {
      const release = lockPath(path);
      expect(statSync(path)).toMatchObject({ ino, size: 512 });
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ state: 'held', pid: process.pid });
      release();
      expect(statSync(path)).toMatchObject({ ino, size: 512 });
      expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ state: 'free' });
    }
  });

  it.runIf(onLinux && isKernelsBoot())('of another boot is free, whatever process has the pid now', () => {
    writeFileSync(path, content({ bootId: ANOTHER_BOOT }));
    lockPath(path)();
    writeFileSync(path, content({ bootId: ANOTHER_BOOT, pidNamespace: 'pid:[1]' }));
    lockPath(path)();
  });

  it.runIf(onLinux)(
    'with a boot id that a container was given counts as held, unless its process is known to be gone',
    () => {
      const container = { bootId: ANOTHER_BOOT, kernelsBoot: false };
      // In another process id namespace this cannot be told from a holder before a restart.
      writeFileSync(path, content({ ...container, pidNamespace: 'pid:[1]' }));
      expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held-elsewhere' });
      writeFileSync(path, content({ ...container, pidNamespace: '' }));
      expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held-elsewhere' });
      writeFileSync(path, content(container));
      expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
      writeFileSync(path, content({ ...container, startTime: '1' }));
      lockPath(path)();
      writeFileSync(path, content({ ...container, pid: 0x7fff_ffff }));
      lockPath(path)();
    },
  );

  it.runIf(onLinux)('of another process id namespace counts as held, and the error says what to do', () => {
    writeFileSync(path, content({ pidNamespace: 'pid:[1]', pid: 999_999_999, thread: 0 }));
    const error = refusal();
    expect(error).toMatchObject({ code: 'WAL_LOCKED', reason: 'held-elsewhere', holder: 'process 999999999' });
    expect(error.message).toContain('pid:[1]');
    expect(error.message).toContain(`remove ${path} by hand`);
    unlinkSync(path);
    lockPath(path)();
  });

  it.runIf(onLinux)('of a process whose pid is in use again is free', () => {
    writeFileSync(path, content({ startTime: '1' }));
    lockPath(path)();
  });

  it('without a boot, a namespace or a start time goes by the number, if that can mean one process only', () => {
    const unknown = { bootId: '', pidNamespace: '', startTime: '', threadStartTime: '', thread: 0 };
    writeFileSync(path, content(unknown));
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
    writeFileSync(path, content({ ...unknown, pid: 0x7fff_ffff }));
    if (onLinux) expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held-elsewhere' });
    else lockPath(path)();
  });

  it.runIf(onLinux)('of another time namespace goes by the number of its process', () => {
    const other = { timeNamespace: 'time:[1]', startTime: '1' };
    writeFileSync(path, content(other));
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'held' });
    writeFileSync(path, content({ ...other, pid: 0x7fff_ffff }));
    lockPath(path)();
  });

  it('that makes no sense counts as free', () => {
    const nonsense = [
      '',
      '\n',
      'held by me',
      '{',
      '[]',
      'null',
      '"held"',
      '{}',
      'x'.repeat(100_000),
      '\0'.repeat(512),
      Buffer.from([0xff, 0xfe, 0xfd]),
      content({ id: 'another' }),
      content({ end: 'another' }),
      content({ format: 'something' }),
      ...[0, -1, 1.5, '1', null, 2 ** 40].map((pid) => content({ pid })),
      content({ bootId: 5 }),
      content({ state: 'Held' }),
    ];
    for (const text of nonsense) {
      writeFileSync(path, text);
      const release = lockPath(path);
      expect(refusal().holder).toBe(`process ${process.pid}`);
      release();
    }
  });

  it('is left alone when another one has taken its place', () => {
    const release = lockPath(path);
    unlinkSync(path);
    const releaseOther = lockPath(path);
    release();
    expect(refusal().code).toBe('WAL_LOCKED');
    releaseOther();
    lockPath(path)();
  });

  it('is left alone when it names another holder', () => {
    const release = lockPath(path);
    const other = content({});
    writeFileSync(path, other);
    release();
    expect(readFileSync(path, 'utf8')).toBe(other);
  });
});

describe('a lock file with something else than a text', () => {
  it.each(['bootId', 'pidNamespace', 'timeNamespace', 'startTime', 'threadStartTime'])(
    'as its %s names no holder',
    (field) => {
      const elsewhere = { pidNamespace: 'pid:[1]' };
      writeFileSync(path, content(elsewhere));
      expect(refusal().code).toBe('WAL_LOCKED');
      writeFileSync(path, content({ ...elsewhere, [field]: 7 }));
      lockPath(path)();
    },
  );
});

describe('the file system of a path', () => {
  const mounts = [
    '22 27 0:21 / /proc rw,relatime shared:5 - proc proc rw',
    '27 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw',
    '30 22 0:21 /sys /proc/sys ro,relatime - proc proc rw',
  ];

  it.each([
    ['the kernel itself', [], 'proc'],
    ['a file over it', ['31 30 0:40 /id /proc/sys/kernel/random/boot_id ro - tmpfs tmpfs rw'], 'tmpfs'],
    [
      'a file system over its directory',
      ['31 30 0:41 / /proc/sys/kernel/random rw - fuse.lxcfs lxcfs rw'],
      'fuse.lxcfs',
    ],
    [
      'two at one place',
      ['31 30 0:40 / /proc/sys ro - tmpfs tmpfs rw', '32 31 0:21 / /proc/sys ro - proc proc rw'],
      'proc',
    ],
    ['a name that only begins like it', ['31 30 0:40 / /proc/sys/kernel/random/boot ro - tmpfs tmpfs rw'], 'proc'],
  ])('is that of %s', (_what, more, type) => {
    expect(fileSystemOf('/proc/sys/kernel/random/boot_id', [...mounts, ...more, ''].join('\n'))).toBe(type);
  });

  it('is not known without a list', () => expect(fileSystemOf('/proc/sys/kernel/random/boot_id', '')).toBe(undefined));
});

describe('the takeover file of the lock', () => {
  it('is not removed where it is only another name of the lock itself, as on a full disk', () => {
    // The holder of the first one is gone for certain: with the addon, its lock would be free.
    writeFileSync(path, content({ kernelLock: true, startTime: '1' }));
    linkSync(path, `${path}.takeover`);
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'taking-over' });
    expect(existsSync(`${path}.takeover`)).toBe(true);
    unlinkSync(`${path}.takeover`);
    lockPath(path)();
  });

  it.runIf(onLinux)('names its holder from its first moment on', () => {
    // Another one finds it whenever it looks: it is there with its content, or not at all.
    writeFileSync(path, content({ startTime: '1' }));
    const left = content({ startTime: '1', kernelLock: withAddon }).trim();
    symlinkSync(left, `${path}.takeover`);
    if (withAddon) {
      lockPath(path)();
      expect(readdirSync(temporary.directory).filter((name) => name.endsWith('.takeover'))).toEqual([]);
      return;
    }
    expect(refusal()).toMatchObject({ code: 'WAL_LOCKED', reason: 'stale-takeover', holder: `process ${process.pid}` });
  });

  it('left behind by a dead process is WAL_LOCKED, with what to do', async () => {
    const holder = LockingProcess.start(path);
    await holder.told();
    const left = readFileSync(path);
    await holder.killed();
    writeFileSync(`${path}.takeover`, left);
    for (let round = 0; round < 2; round++) {
      // It is not removed behind the user's back, and not taken for somebody's lock either.
      const other = LockingProcess.start(path, 'without addon');
      const error = await other.told();
      expect(error).toMatchObject({
        code: 'WAL_LOCKED',
        reason: 'stale-takeover',
        holder: `process ${holder.process.pid}`,
      });
      expect(error.message).toContain(`remove ${path}.takeover by hand`);
      await other.killed();
    }
    // With the addon it is, since nobody else can be at it then.
    if (!withAddon) unlinkSync(`${path}.takeover`);
    lockPath(path)();
    expect(existsSync(`${path}.takeover`)).toBe(false);
  });

  it('of a living process is WAL_LOCKED', async () => {
    const holder = LockingProcess.start(path, 'without addon');
    await holder.told();
    const theirs = readFileSync(path);
    holder.say('release');
    await holder.told();
    writeFileSync(`${path}.takeover`, theirs);
    expect(refusal()).toMatchObject({
      code: 'WAL_LOCKED',
      reason: 'taking-over',
      holder: `process ${holder.process.pid}`,
      message: expect.stringContaining('try again'),
    });
  });

  it('without content is WAL_LOCKED, with what to do in either case', () => {
    writeFileSync(`${path}.takeover`, '');
    const error = refusal();
    expect(error).toMatchObject({ code: 'WAL_LOCKED', reason: 'taking-over' });
    expect(error.message).toContain('try again');
    expect(error.message).toContain(`remove ${path}.takeover by hand`);
  });

  it('does not stay after a failure', () => {
    mkdirSync(path);
    expect(refusal()).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EISDIR' });
    expect(existsSync(`${path}.takeover`)).toBe(false);
  });
});

describe('a lock where nothing can be written', () => {
  it('is WAL_NOT_FOUND where there is no directory', () => {
    expect(refusal(() => lockPath(`${temporary.directory}/missing/LOCK`)).code).toBe('WAL_NOT_FOUND');
  });

  it.runIf(onLinux)('is WAL_IO_FAILED with its cause where no file can be made', () => {
    const error = refusal(() => lockPath('/sys/walstack-LOCK'));
    expect(error.code).toBe('WAL_IO_FAILED');
    expect(error.cause).toBeInstanceOf(Error);
    expect(['EACCES', 'EROFS', 'EPERM']).toContain(error.systemCode);
  });
});
