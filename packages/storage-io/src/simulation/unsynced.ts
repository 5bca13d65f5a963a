/**
 * One thing that no sync has covered and that a crash may keep or lose:
 *
 * - `'name'`: an operation on a directory (create, make, rename, remove), whole or not at all;
 * - `'size'`: a change of a file's size, which survives only together with those before it;
 * - `'sector'`: 512 bytes of a file as one write left them, the write perhaps still in flight.
 */
export interface Unsynced {
  readonly kind: 'name' | 'size' | 'sector';
  /** The number of the file or directory. */
  readonly inode: number;
  /** Of a sector, where it begins in its file; of a size, the size; of a name, 0. In bytes. */
  readonly offset: number;
}

/** Asked about each unsynced thing once, always in the same order: does it survive? */
export type Ask = (thing: Unsynced) => boolean;
