import { runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import type { CoreEntry } from '../core/entry.js';
import type { EntryReader } from '../core/entry-reader.js';
import { EntryMerge } from './entry-merge.js';

/**
 * The entries of all cores in one order: by epoch, time, core and sequence. Iterable with `for … of` on a backend that can
 * wait, and with `for await … of` on any backend. Each iteration reads from the beginning, with one entry and one buffer of
 * each core in memory, and releases its readers when the loop ends.
 */
export class MergedEntries implements Iterable<CoreEntry>, AsyncIterable<CoreEntry> {
  readonly #io: StorageIo;
  readonly #begin: () => Promise<readonly EntryReader[]>;
  readonly #beginSync: () => readonly EntryReader[];

  constructor(io: StorageIo, begin: () => Promise<readonly EntryReader[]>, beginSync: () => readonly EntryReader[]) {
    this.#io = io;
    this.#begin = begin;
    this.#beginSync = beginSync;
  }

  /**
   * Calls `f` with every entry, and awaits it when it returns a promise. An error of `f` ends the reading and is rethrown.
   *
   * @returns how many entries there were
   */
  async forEach(f: (entry: CoreEntry) => unknown): Promise<number> {
    const readers = await this.#begin();
    const merge = new EntryMerge(readers);
    let count = 0;
    try {
      while (await runAsync(this.#io, merge.advance())) {
        for (let entry = merge.next(); entry !== undefined; entry = merge.next()) {
          const result = f(entry);
          if (isThenable(result)) await result;
          count++;
        }
      }
      return count;
    } finally {
      closeAll(readers);
    }
  }

  *[Symbol.iterator](): Generator<CoreEntry, void, undefined> {
    const readers = this.#beginSync();
    const merge = new EntryMerge(readers);
    try {
      while (runSync(this.#io, merge.advance())) {
        for (let entry = merge.next(); entry !== undefined; entry = merge.next()) yield entry;
      }
    } finally {
      closeAll(readers);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<CoreEntry, void, undefined> {
    const readers = await this.#begin();
    const merge = new EntryMerge(readers);
    try {
      while (await runAsync(this.#io, merge.advance())) {
        for (let entry = merge.next(); entry !== undefined; entry = merge.next()) yield entry;
      }
    } finally {
      closeAll(readers);
    }
  }
}

function closeAll(readers: readonly EntryReader[]): void {
  for (const reader of readers) reader.close();
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
