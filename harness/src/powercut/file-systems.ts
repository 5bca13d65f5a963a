import { mkdirSync, rmdirSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './run.js';

export const FILE_SYSTEMS = ['ext4', 'xfs', 'btrfs'] as const;

/** What the guest's disk is formatted with. */
export type FileSystem = (typeof FILE_SYSTEMS)[number];

/** Not smaller than any of them takes. */
const BYTES = 512 * 1024 * 1024;

/** Everything is laid out when the disk is formatted, and not by the guest later. */
const MAKE: Readonly<Record<FileSystem, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-b', '4096', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
};

/** Makes the image of a disk with an empty file system. */
export function makeImage(type: FileSystem, path: string, bytes = BYTES): void {
  writeFileSync(path, '');
  truncateSync(path, bytes);
  const [command = '', ...args] = MAKE[type];
  run(command, ...args, path);
}

const TRIES = 1000;
const PAUSE_MS = 10;

/** Why an image cannot be mounted. */
export class MountError extends Error {}

/** An image that is mounted here, by which its journal is replayed. */
export class MountedImage {
  readonly path: string;

  /** @throws {MountError} */
  constructor(type: FileSystem, image: string, path: string) {
    mkdirSync(path);
    try {
      run('mount', '-t', type, '-o', 'loop', image, path);
    } catch (error) {
      rmdirSync(path);
      throw new MountError((error as Error).message);
    }
    this.path = path;
  }

  /** Rings give up their files some time after they are closed. */
  async unmount(): Promise<void> {
    for (let tries = 1; ; tries++) {
      try {
        run('umount', this.path);
        break;
      } catch (error) {
        if (tries === TRIES) throw error;
        await sleep(PAUSE_MS);
      }
    }
    rmdirSync(this.path);
  }
}
