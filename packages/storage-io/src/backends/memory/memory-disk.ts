import { MemoryFiles } from './memory-files.js';

const FILES = new WeakMap<MemoryDisk, MemoryFiles>();

/** The files of a disk, for backends; `undefined` for anything that is not a {@link MemoryDisk}. */
export const filesOf = (disk: MemoryDisk): MemoryFiles | undefined => FILES.get(disk);

/**
 * The files of memory backends: what one backend wrote, another one with the same disk finds, so that a log in memory
 * can be closed and opened again. It ends with its process, and belongs to one thread.
 *
 * There is one root directory; a path means the same with and without a leading `/`.
 */
export class MemoryDisk {
  // Private, so that the types accept no other object as a disk.
  readonly #files = new MemoryFiles();

  constructor() {
    FILES.set(this, this.#files);
  }
}
