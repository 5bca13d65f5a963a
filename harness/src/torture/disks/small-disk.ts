import { spawnSync } from 'node:child_process';
import {
  closeSync,
  fsyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmdirSync,
  rmSync,
  statfsSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const DISK_BYTES = 8 * 1024 * 1024;
const CHUNK = new Uint8Array(64 * 1024);
const UNMOUNT_ATTEMPTS = 500;
const UNMOUNT_PAUSE_MS = 20;

/** A small ext4 file system in a file, mounted by way of a loop device. Linux, and root, only. */
export class SmallDisk implements AsyncDisposable {
  /** Where it is mounted. */
  readonly path: string;
  readonly #image: string;
  readonly #ballast: string;
  #ballastBytes = 0;

  /** @param folder - where there is room for its image */
  constructor(folder: string, name: string) {
    this.#image = join(folder, `${name}.img`);
    this.path = join(folder, name);
    this.#ballast = join(this.path, 'ballast');
    mkdirSync(this.path);
    closeSync(openSync(this.#image, 'w'));
    truncateSync(this.#image, DISK_BYTES);
    run('mkfs.ext4', '-q', '-F', '-m', '0', this.#image);
    run('mount', '-o', 'loop', this.#image, this.path);
  }

  /** Bytes that can still be written. */
  get freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path);
    return bavail * bsize;
  }

  /** Takes every byte that is left. */
  fill(): void {
    const fd = openSync(this.#ballast, 'a');
    try {
      for (let bytes = CHUNK.length; bytes >= 1; ) {
        if (!this.#grow(fd, bytes)) bytes = Math.floor(bytes / 2);
      }
    } finally {
      closeSync(fd);
    }
  }

  /** Gives so many bytes back. */
  leave(bytes: number): void {
    if (this.#ballastBytes === 0) return;
    this.#ballastBytes = Math.max(0, this.#ballastBytes - bytes);
    truncateSync(this.#ballast, this.#ballastBytes);
  }

  /** What was mapped of its files stays so for some turns of the event loop after the log was closed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (let attempt = 1; !succeeds('umount', this.path); attempt++) {
      if (attempt === UNMOUNT_ATTEMPTS) throw new Error(`${this.path} cannot be unmounted: it is in use`);
      await sleep(UNMOUNT_PAUSE_MS);
    }
    rmdirSync(this.path);
    rmSync(this.#image);
  }

  #grow(fd: number, bytes: number): boolean {
    try {
      this.#ballastBytes += writeSync(fd, CHUNK, 0, bytes);
      // Only what has its blocks takes room.
      fsyncSync(fd);
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      ftruncateSync(fd, this.#ballastBytes);
      return false;
    }
  }
}

/** Why there can be no small disk here; `undefined` when there can. */
export async function whyNoSmallDisk(folder: string): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'only Linux has loop devices';
  if (process.getuid?.() !== 0) return 'only root may mount one';
  try {
    await new SmallDisk(folder, 'probe')[Symbol.asyncDispose]();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  } finally {
    rmSync(join(folder, 'probe'), { recursive: true, force: true });
    rmSync(join(folder, 'probe.img'), { force: true });
  }
}

function succeeds(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args).status === 0;
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command}: ${stderr.trim()}`);
}
