import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';

/** Reads piece by piece: `next()` returns items from memory, `advance()` reads further ones. */
export interface PieceReader<T> {
  /** The backend that `advance()` needs. */
  readonly io: StorageIo;
  next(): T | undefined;
  /** @returns whether there may be further items in memory; `false` at the end */
  advance(): IoRoutine<boolean>;
  close(): void;
}

/**
 * Calls `f` with every item, awaits the result when it is a promise, and closes the reader.
 *
 * @returns the number of items
 */
export async function forEachItem<T>(
  begin: () => PieceReader<T> | Promise<PieceReader<T>>,
  f: (item: T) => unknown,
): Promise<number> {
  const reader = await begin();
  let count = 0;
  try {
    while (await runAsync(reader.io, reader.advance())) {
      for (let item = reader.next(); item !== undefined; item = reader.next()) {
        const result = f(item);
        if (isThenable(result)) await result;
        count++;
      }
    }
    return count;
  } finally {
    reader.close();
  }
}

/** All items, blocking the thread. The reader is closed when the loop is left. */
export function* itemsSync<T>(begin: () => PieceReader<T>): Generator<T, void, undefined> {
  const reader = begin();
  try {
    while (runSync(reader.io, reader.advance())) {
      for (let item = reader.next(); item !== undefined; item = reader.next()) yield item;
    }
  } finally {
    reader.close();
  }
}

/** All items. The reader is closed when the loop is left. */
export async function* items<T>(
  begin: () => PieceReader<T> | Promise<PieceReader<T>>,
): AsyncGenerator<T, void, undefined> {
  const reader = await begin();
  try {
    while (await runAsync(reader.io, reader.advance())) {
      for (let item = reader.next(); item !== undefined; item = reader.next()) yield item;
    }
  } finally {
    reader.close();
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
