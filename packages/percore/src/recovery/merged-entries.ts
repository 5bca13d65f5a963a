import { forEachItem, items, itemsSync, type PieceReader } from '@walstack/mmap-reader/internal';
import type { StorageIo } from '@walstack/storage-io';
import type { CoreEntry } from '../core/entries/entry.js';
import type { EntryReader } from '../core/entries/entry-reader.js';
import { EntryMerge } from './entry-merge.js';

/**
 * The entries of all cores in one order: by epoch, time, core and sequence. Iterable with `for … of` on a backend that can
 * wait, and with `for await … of` on any backend. Each iteration reads from the beginning, with one entry and one buffer of
 * each core in memory, and releases its readers when the loop ends.
 */
export class MergedEntries implements Iterable<CoreEntry>, AsyncIterable<CoreEntry> {
  readonly #begin: () => Promise<PieceReader<CoreEntry>>;
  readonly #beginSync: () => PieceReader<CoreEntry>;

  private constructor(begin: () => Promise<PieceReader<CoreEntry>>, beginSync: () => PieceReader<CoreEntry>) {
    this.#begin = begin;
    this.#beginSync = beginSync;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `mergeEntries` uses it.
  private static make(
    begin: () => Promise<PieceReader<CoreEntry>>,
    beginSync: () => PieceReader<CoreEntry>,
  ): MergedEntries {
    return new MergedEntries(begin, beginSync);
  }

  /**
   * Calls `f` with every entry, and awaits it when it returns a promise. An error of `f` ends the reading and is rethrown.
   *
   * @returns how many entries there were
   */
  forEach(f: (entry: CoreEntry) => unknown): Promise<number> {
    return forEachItem(this.#begin, f);
  }

  [Symbol.iterator](): Generator<CoreEntry, void, undefined> {
    return itemsSync(this.#beginSync);
  }

  [Symbol.asyncIterator](): AsyncGenerator<CoreEntry, void, undefined> {
    return items(this.#begin);
  }
}

/** Merges the entries of readers, one for each core, which each iteration opens anew. */
export const mergeEntries = (
  io: StorageIo,
  begin: () => Promise<readonly EntryReader[]>,
  beginSync: () => readonly EntryReader[],
): MergedEntries =>
  MergedEntries['make'](
    async () => merging(io, await begin()),
    () => merging(io, beginSync()),
  );

function merging(io: StorageIo, readers: readonly EntryReader[]): PieceReader<CoreEntry> {
  const merge = new EntryMerge(readers);
  return {
    io,
    next: () => merge.next(),
    advance: () => merge.advance(),
    close: () => {
      for (const reader of readers) reader.close();
    },
  };
}
