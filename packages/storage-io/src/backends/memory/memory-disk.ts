import { MemoryFiles } from './memory-files.js';

/** The files of a world, for backends only. */
export let filesOf: (world: MemoryDisk) => MemoryFiles;

/**
 * The files of memory backends: what one of them wrote, another that was given the same world finds, so that a log in
 * memory can be closed and opened again. It ends with its process, and belongs to one thread.
 *
 * There is one root directory; a path means the same with and without `/` before it.
 */
export class MemoryDisk {
  readonly #files = new MemoryFiles();

  static {
    filesOf = (world) => world.#files;
  }
}
