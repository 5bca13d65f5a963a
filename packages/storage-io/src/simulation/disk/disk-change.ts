/**
 * The changes of a disk. A disk is determined by its changes: the same changes applied to the same initial disk give
 * the same disk.
 */
export type DiskChange =
  | {
      readonly kind: 'write-begun';
      readonly write: number;
      readonly inode: number;
      readonly data: Uint8Array;
      readonly offset: number;
    }
  /** `write` is set when it had begun before, `durable` when it needs no sync. */
  | {
      readonly kind: 'write';
      readonly write: number | undefined;
      readonly inode: number;
      readonly data: Uint8Array;
      readonly offset: number;
      readonly durable: boolean;
    }
  /** A write that has begun and never reaches the disk. */
  | { readonly kind: 'write-lost'; readonly write: number; readonly inode: number }
  | { readonly kind: 'resize'; readonly inode: number; readonly bytes: number }
  /** Covers the changes up to the one of number `upTo`. */
  | { readonly kind: 'sync'; readonly inode: number; readonly upTo: number }
  /** Covers the changes from the one of number `from` up to the one of number `upTo`. */
  | { readonly kind: 'sync-failed'; readonly inode: number; readonly from: number; readonly upTo: number }
  /** The cache evicts what a failed sync has dropped. `seed` decides what of it had reached the disk. */
  | { readonly kind: 'evict'; readonly inode: number; readonly seed: number }
  | {
      readonly kind: 'create' | 'make-directory';
      readonly directory: number;
      readonly name: string;
      readonly inode: number;
      readonly mode: number;
    }
  | {
      /** `'link'`: the file keeps its name, and has another one as well. */
      readonly kind: 'rename' | 'link';
      readonly directory: number;
      readonly name: string;
      readonly toDirectory: number;
      readonly toName: string;
    }
  | { readonly kind: 'remove'; readonly directory: number; readonly name: string }
  | { readonly kind: 'sync-directory'; readonly directory: number; readonly upTo: number }
  | { readonly kind: 'rot'; readonly inode: number; readonly offset: number; readonly mask: number };

/** Whether a change affects names. */
export const changesNames = (change: DiskChange | undefined): boolean =>
  change?.kind === 'create' ||
  change?.kind === 'rename' ||
  change?.kind === 'link' ||
  change?.kind === 'remove' ||
  change?.kind === 'make-directory';
