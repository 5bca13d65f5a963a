import { MemoryFiles } from './memory-files.js';

/** The files of a disk, for backends only. */
export let filesOf: (disk: MemoryDisk) => MemoryFiles;

/**
 * The files of memory backends: what one backend wrote, another one with the same disk finds, so that a log in memory
 * can be closed and opened again. It ends with its process, and belongs to one thread.
 *
 * There is one root directory; a path means the same with and without a leading `/`.
 */
export class MemoryDisk {
  readonly #files = new MemoryFiles();

  static {
    filesOf = (disk) => disk.#files;
  }
}
