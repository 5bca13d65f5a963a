/**
 * One unsynced item: no sync has covered it, and a crash may keep or lose it:
 *
 * - `'name'`: an operation on a directory (create, make, rename, remove), whole or not at all;
 * - `'size'`: a change of a file's size, which survives only together with those before it;
 * - `'sector'`: 512 bytes of a file as one write left them, the write perhaps still in flight.
 */
export interface Unsynced {
  readonly kind: 'name' | 'size' | 'sector';
  /** The number of the file or directory. */
  readonly inode: number;
  /** For a sector, its position in the file; for a size, the size; for a name, 0. In bytes. */
  readonly offset: number;
}

/** Called once for each unsynced item, always in the same order: whether it survives. */
export type Ask = (thing: Unsynced) => boolean;
