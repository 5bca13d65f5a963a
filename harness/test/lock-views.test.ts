import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileLocksUnavailableReason } from '@walstack/native';
import { openStorageIo, type StorageIo } from '@walstack/storage-io';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LoopDisk, loopDiskUnavailable } from '../src/disks/loop-disk.js';
import { ForgetFs, forgetFsUnavailable } from '../src/fuse/forgetfs.js';
import { temporaryDirectory } from '../test-kit/temporary-directory.js';

/** A directory as it is seen by two mounts, and what takes it away. */
interface Views {
  readonly one: string;
  readonly other: string;
  remove(): Promise<void> | void;
}

const fuse = async (): Promise<Views> => {
  const fs = await ForgetFs.mount();
  return { one: fs.path, other: fs.files, remove: () => fs.unmount() };
};

const overlay = (): Views => {
  const disk = LoopDisk.make('ext4');
  const merged = disk.overlay();
  return { one: merged, other: join(merged, '..', 'upper'), remove: () => disk.remove() };
};

const turned = (make: () => Promise<Views> | Views) => async (): Promise<Views> => {
  const { one, other, remove } = await make();
  return { one: other, other: one, remove };
};

const noFuse = (await forgetFsUnavailable()) ?? fileLocksUnavailableReason;
const noOverlay = loopDiskUnavailable('ext4') ?? fileLocksUnavailableReason;

/** Takes a lock and keeps it until it is killed. */
async function hold(path: string): Promise<ChildProcess> {
  const program = `
    import(${JSON.stringify(import.meta.resolve('@walstack/storage-io'))}).then(({ openStorageIo }) => {
      openStorageIo('sync-fs').lock(${JSON.stringify(path)});
      console.log('held');
      setInterval(() => {}, 1e6);
    });`;
  const child = spawn(process.execPath, ['--eval', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(child.stdout, 'data');
  return child;
}

describe.each([
  ['beneath a FUSE mount', turned(turned(fuse)), noFuse],
  ['by a FUSE mount', turned(fuse), noFuse],
  ['beneath an overlay', turned(turned(overlay)), noOverlay],
  ['by an overlay', turned(overlay), noOverlay],
])('a lock that is taken %s', (_place, make, unavailable) => {
  describe.skipIf(unavailable !== undefined)(unavailable ?? 'while another mount of the directory has it', () => {
    let views: Views;
    let io: StorageIo;
    let directory: string;
    let holder: ChildProcess;

    beforeEach(async () => {
      views = await make();
      io = openStorageIo('sync-fs');
      directory = temporaryDirectory();
      holder = await hold(join(views.one, 'LOCK'));
    });

    afterEach(async () => {
      if (holder.signalCode === null) {
        holder.kill('SIGKILL');
        await once(holder, 'exit');
      }
      await io.dispose();
      await views.remove();
    });

    test('is refused as long as the holder is alive, and the file is as it was', async () => {
      const path = join(views.other, 'LOCK');
      const before = readFileSync(path);
      const { mtimeMs } = statSync(path);
      expect(() => io.lock(path)).toThrow(
        expect.objectContaining({ code: 'WAL_LOCKED', reason: 'held', holder: `process ${holder.pid}` }),
      );
      expect(readFileSync(path)).toEqual(before);
      expect(Math.abs(statSync(path).mtimeMs - mtimeMs)).toBeLessThan(10);
      const ended = once(holder, 'exit');
      holder.kill('SIGKILL');
      await ended;
      io.lock(path)();
    });

    test('is had in a copy of the directory', () => {
      const copy = join(directory, 'copy');
      cpSync(views.one, copy, { recursive: true, preserveTimestamps: true });
      expect(readFileSync(join(copy, 'LOCK'))).toEqual(readFileSync(join(views.one, 'LOCK')));
      io.lock(join(copy, 'LOCK'))();
    });
  });
});
