import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { fileLocksUnavailableReason, ringSupport } from '@walstack/native';
import { openStorageIo, type StorageIo } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ForgetFs, forgetFsUnavailable } from '../src/fuse/forgetfs.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

const noFuse = await forgetFsUnavailable();
const unavailable = noFuse ?? fileLocksUnavailableReason ?? ringSupport().reason;

/** Longer than anything else here takes. */
const SLOW_MS = 1000;

interface Holder {
  readonly backend: string;
  readonly file: string;
  readonly lock: string;
}

/** Takes a lock, begins to write, and calls `ready` when the write is under way. */
const program = ({ backend, file, lock }: Holder, ready: string): string => `
  import(${JSON.stringify(import.meta.resolve('@walstack/storage-io'))}).then(({ openStorageIo }) => {
    const io = openStorageIo(${JSON.stringify(backend)});
    const file = io.open(${JSON.stringify(file)});
    io.lock(${JSON.stringify(lock)});
    io.submitWrite(file, Buffer.alloc(4096, 1), 0);
    io.flush();
    ${ready}
  });`;

describe.skipIf(unavailable !== undefined)(`a lock (${unavailable ?? 'on a slow disk'})`, () => {
  let fs: ForgetFs;
  let directory: string;
  let io: StorageIo;
  let holder: Omit<Holder, 'backend'>;

  beforeEach(async () => {
    fs = await ForgetFs.mount();
    directory = temporaryDirectory();
    io = openStorageIo('sync-fs');
    holder = { file: join(fs.path, 'file'), lock: join(directory, 'lock') };
    writeFileSync(holder.file, Buffer.alloc(4096));
    fs.reset();
    fs.delay(SLOW_MS, { operation: 'write', pattern: 'file' });
  });

  afterEach(async () => {
    await io.dispose();
    await fs.unmount();
  });

  const writeBegun = async (): Promise<void> => {
    while (fs.report().total.write === 0) await sleep(1);
  };

  /** What the file holds at the moment when the lock can be had. */
  const foundUnderLock = async (): Promise<number | undefined> => {
    for (;;) {
      try {
        io.lock(holder.lock);
        return readFileSync(join(fs.files, 'file'))[0];
      } catch {
        await sleep(1);
      }
    }
  };

  test.each(['io-uring', 'thread-pool'])(
    'of a worker that is terminated lasts until its writes have ended (%s)',
    async (backend) => {
      const ready = `require('node:worker_threads').parentPort.postMessage('ready');`;
      const worker = new Worker(program({ backend, ...holder }, ready), { eval: true });
      await once(worker, 'message');
      await writeBegun();
      const ended = worker.terminate();
      expect(await foundUnderLock()).toBe(1);
      await ended;
    },
  );

  test.each(['io-uring', 'thread-pool'])(
    'of a process that exits lasts until its writes have ended (%s)',
    async (backend) => {
      const ready = `process.stdin.once('data', () => process.exit());`;
      const child = spawn(process.execPath, ['--eval', program({ backend, ...holder }, ready)], {
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      const ended = once(child, 'exit');
      await writeBegun();
      child.stdin.write('exit');
      expect(await foundUnderLock()).toBe(1);
      await ended;
    },
  );

  test.each(['io-uring', 'thread-pool'])(
    'of a process that is killed lasts until its writes have ended (%s)',
    async (backend) => {
      const child = spawn(process.execPath, ['--eval', program({ backend, ...holder }, '')], {
        stdio: ['pipe', 'ignore', 'inherit'],
      });
      const ended = once(child, 'exit');
      await writeBegun();
      child.kill('SIGKILL');
      expect(await foundUnderLock()).toBe(1);
      await ended;
    },
  );
});

describe.skipIf(noFuse !== undefined)(
  `a lock whose file cannot be written any more (${noFuse ?? 'on a failing disk'})`,
  () => {
    test.each([undefined, 'ENOSYS'])('is released all the same (locks of open files: %s)', async (locks) => {
      const fs = await ForgetFs.mount(locks === undefined ? {} : { locks });
      const io = openStorageIo('sync-fs');
      const path = join(fs.path, 'lock');
      const release = io.lock(path);
      expect(() => io.lock(path)).toThrow(expect.objectContaining({ code: 'WAL_LOCKED' }));
      fs.fail('EIO', { operation: 'write', pattern: 'lock' });
      expect(release).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED' }));
      const again = io.lock(path);
      expect(() => io.lock(path)).toThrow(expect.objectContaining({ code: 'WAL_LOCKED' }));
      again();
      await io.dispose();
      await fs.unmount();
    });
  },
);
