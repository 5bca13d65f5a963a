import type { LongCallOptions, WalProgress } from '@walstack/mmap-reader';
import {
  CallWatch,
  forEachItem,
  items,
  itemsSync,
  type PieceReader,
  READING_ABORTED,
  throwIfAborted,
} from '@walstack/mmap-reader/internal';
import type { StorageIo } from '@walstack/storage-io';
import { watched } from '@walstack/storage-io/internal';
import type { CoreEntry } from '../core/entries/entry.js';
import type { EntryReader } from '../core/entries/entry-reader.js';
import { CoreMerge } from './core-merge.js';

/**
 * The entries of all cores in one order: by epoch, time, core and sequence. Iterable with `for … of` on a backend that can
 * wait, and with `for await … of` on any backend, which gives the event loop its turn at least every 10 ms. Each iteration
 * reads from the beginning, with one entry and one buffer of each core in memory, and releases its readers when the loop ends.
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
  call: LongCallOptions,
): MergedEntries =>
  MergedEntries['make'](
    async () => {
      throwIfAborted(call);
      return merging(io, await begin(), call);
    },
    () => {
      throwIfAborted(call);
      return merging(io, beginSync(), call);
    },
  );

function merging(io: StorageIo, readers: readonly EntryReader[], call: LongCallOptions): PieceReader<CoreEntry> {
  const merge = new CoreMerge(readers);
  const watch = CallWatch.for(call, READING_ABORTED, () => progressOf(readers));
  return {
    io,
    watch,
    next: () => merge.next(),
    advance: () => (watch === undefined ? merge.advance() : watched(merge.advance(), watch)),
    close: () => {
      for (const reader of readers) reader.close();
    },
  };
}

/** How far the readers are together. */
function progressOf(readers: readonly EntryReader[]): WalProgress {
  let [bytes, totalBytes, records] = [0, 0, 0];
  for (const { progress } of readers) {
    bytes += progress.bytes;
    totalBytes += progress.totalBytes;
    records += progress.records;
  }
  return { phase: 'read', bytes, totalBytes, records };
}
