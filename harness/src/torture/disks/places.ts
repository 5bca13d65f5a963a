import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { LoopDisk, type LoopDiskType } from '../../disks/loop-disk.js';
import { forgetFsUnavailable } from '../../fuse/forgetfs.js';
import { whyNoSmallDisk } from './small-disk.js';

/**
 * What a log lies on. `plain` is the file system of the folder that was given; `full` a small one that is full most of the
 * time; `forgetful` one in FUSE that loses what was not synced; the others are file systems on disks of their own.
 */
export type PlaceName = (typeof PLACE_NAMES)[number];

export const PLACE_NAMES = ['plain', 'full', 'forgetful', 'ext4', 'xfs', 'btrfs', 'overlay'] as const;

/** The file system of the disk on which such a place is. */
const DISKS: Partial<Record<PlaceName, LoopDiskType>> = { ext4: 'ext4', xfs: 'xfs', btrfs: 'btrfs', overlay: 'ext4' };

/** The folders in which logs are made, on disks that are there until {@link removeDisks}. */
export class Places {
  readonly #plain: string;
  readonly #disks = new Map<LoopDiskType, LoopDisk>();
  readonly #folders = new Map<PlaceName, string>();

  /** @param plain - on the file system that was given */
  constructor(plain: string) {
    this.#plain = plain;
  }

  /** Why there is no such place on this machine, in a few words; `undefined` when there is. */
  async whyNot(place: PlaceName): Promise<string | undefined> {
    if (place === 'full') return whyNoSmallDisk(this.#plain);
    if (place === 'forgetful') return forgetFsUnavailable();
    try {
      this.of(place);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** A folder in such a place, in which several logs can be, each in a directory of its own. */
  of(place: PlaceName): string {
    const type = DISKS[place];
    if (type === undefined) return this.#plain;
    const folder = this.#folders.get(place) ?? this.#make(place, type);
    this.#folders.set(place, folder);
    return folder;
  }

  removeDisks(): void {
    for (const disk of this.#disks.values()) disk.remove();
    this.#disks.clear();
  }

  #make(place: PlaceName, type: LoopDiskType): string {
    const disk = this.#disks.get(type) ?? LoopDisk.make(type);
    this.#disks.set(type, disk);
    if (place === 'overlay') return disk.overlay();
    const folder = join(disk.path, 'logs');
    mkdirSync(folder);
    return folder;
  }
}
