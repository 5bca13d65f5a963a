import type { WalRecord } from '@walstack/mmap-reader';
import { forEachItem, items, itemsSync } from '@walstack/mmap-reader/internal';
import type { IoRoutine } from '@walstack/storage-io';
import { Pace, TURN } from '@walstack/storage-io/internal';
import type { LogReader } from './log-reader.js';

/**
 * The records of a log, in order: iterable with `for await … of`, which gives the event loop its turn at least every 10 ms, and
 * with `for … of` on a backend that can block, which blocks the thread. Each iteration reads again, up to the last record that
 * had been appended when it began, in constant memory. Leaving the loop closes its file.
 */
export class Replay implements Iterable<WalRecord>, AsyncIterable<WalRecord> {
  readonly #beginSync: () => LogReader;
  readonly #begin: () => Promise<LogReader>;

  private constructor(begin: () => Promise<LogReader>, beginSync: () => LogReader) {
    this.#begin = begin;
    this.#beginSync = beginSync;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `makeReplay` uses it.
  private static make(begin: () => Promise<LogReader>, beginSync: () => LogReader): Replay {
    return new Replay(begin, beginSync);
  }

  /**
   * Calls `f` with every record, and awaits the result when it is a promise. Between two calls the event loop gets its turn
   * where that is due. An error of `f` ends the replay and is rethrown.
   *
   * @returns the number of records
   */
  forEach(f: (record: WalRecord) => unknown): Promise<number> {
    return forEachItem(this.#begin, f);
  }

  [Symbol.iterator](): Generator<WalRecord, void, undefined> {
    return itemsSync(this.#beginSync);
  }

  [Symbol.asyncIterator](): AsyncGenerator<WalRecord, void, undefined> {
    return items(this.#begin);
  }
}

/** Makes a replay, which only the log does. */
export const makeReplay: (begin: () => Promise<LogReader>, beginSync: () => LogReader) => Replay = Replay['make'];

/** A page of records, and whether there are further ones behind it. */
export interface ReplayPage {
  readonly records: readonly WalRecord[];
  readonly more: boolean;
}

/** Reads at most `limit` records. */
export function* readPage(reader: LogReader, limit: number): IoRoutine<ReplayPage> {
  const records: WalRecord[] = [];
  const pace = new Pace();
  try {
    while (yield* reader.advance()) {
      for (let record = reader.next(); record !== undefined; record = reader.next()) {
        if (records.length === limit) return { records, more: true };
        records.push(record);
        if (pace.isDue()) yield TURN;
      }
    }
    return { records, more: false };
  } finally {
    reader.close();
  }
}

/** Reads the single record that a reader was opened for. */
export function* readOne(reader: LogReader): IoRoutine<WalRecord | undefined> {
  try {
    while (yield* reader.advance()) {
      const record = reader.next();
      if (record !== undefined) return record;
    }
    return undefined;
  } finally {
    reader.close();
  }
}
