import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { nextTurn, Pace, WAITING_STRIDE_MAX } from '@walstack/storage-io/internal';

/** Reads piece by piece: `next()` returns items from memory, `advance()` reads further ones. */
export interface PieceReader<T> {
  /** The backend that `advance()` needs. */
  readonly io: StorageIo;
  /** Ends the reading early, and receives its progress. `advance()` sees it, too. */
  readonly watch?: ReadingWatch | undefined;
  next(): T | undefined;
  /** @returns whether there may be further items in memory; `false` at the end */
  advance(): IoRoutine<boolean>;
  close(): void;
}

/** Ends a reading early, and receives its progress. */
interface ReadingWatch {
  /** Reports how far the reading is, where that is due. @throws why it ends before the next item */
  beforeItem(): void;
  /** Called when everything was read. @throws why the call rejects all the same */
  finish(): void;
}

/**
 * Calls `f` with every item, awaits the result when it is a promise, and closes the reader. Between two items it gives the
 * event loop its turn where that is due.
 *
 * @returns the number of items
 */
export async function forEachItem<T>(
  begin: () => PieceReader<T> | Promise<PieceReader<T>>,
  f: (item: T) => unknown,
): Promise<number> {
  const reader = await begin();
  const { watch } = reader;
  const pace = new Pace();
  const passed: Passed = { count: 0, result: undefined, isAll: false };
  let count = 0;
  let left = 1;
  try {
    while (await runAsync(reader.io, reader.advance())) {
      do {
        passItems(reader, f, left, passed);
        count += passed.count;
        left -= passed.count;
        if (passed.result !== undefined) {
          await passed.result;
          left = Math.min(left, WAITING_STRIDE_MAX - 1);
        }
        if (left > 0) continue;
        left = pace.look();
        if (left > 0) continue;
        await nextTurn();
        left = 1;
      } while (!passed.isAll);
    }
    watch?.finish();
    return count;
  } finally {
    reader.close();
  }
}

/** How far {@link passItems} has come. */
interface Passed {
  count: number;
  /** What `f` returned last, when it is to be waited for. */
  result: PromiseLike<unknown> | undefined;
  /** Whether there are no further items in memory. */
  isAll: boolean;
}

/**
 * Calls `f` with at most so many items, up to one for which it returns a promise. A function of its own, without waiting: in the loop of
 * an asynchronous one each item takes longer.
 */
function passItems<T>(reader: PieceReader<T>, f: (item: T) => unknown, most: number, passed: Passed): void {
  const { watch } = reader;
  passed.result = undefined;
  passed.isAll = false;
  let count = 0;
  while (count < most) {
    const item = reader.next();
    if (item === undefined) {
      passed.isAll = true;
      break;
    }
    if (watch !== undefined) watch.beforeItem();
    const result = f(item);
    count++;
    if (isThenable(result)) {
      passed.result = result;
      break;
    }
  }
  passed.count = count;
}

/** All items, blocking the thread. The reader is closed when the loop is left. */
export function* itemsSync<T>(begin: () => PieceReader<T>): Generator<T, void, undefined> {
  const reader = begin();
  const { watch } = reader;
  try {
    while (runSync(reader.io, reader.advance())) {
      for (let item = reader.next(); item !== undefined; item = reader.next()) {
        if (watch !== undefined) watch.beforeItem();
        yield item;
        if (watch !== undefined) watch.beforeItem();
      }
    }
    watch?.finish();
  } finally {
    reader.close();
  }
}

/** All items, with turns of the event loop as {@link forEachItem} gives them. The reader is closed when the loop is left. */
export async function* items<T>(
  begin: () => PieceReader<T> | Promise<PieceReader<T>>,
): AsyncGenerator<T, void, undefined> {
  const reader = await begin();
  const { watch } = reader;
  const pace = new Pace(WAITING_STRIDE_MAX);
  let left = 1;
  try {
    while (await runAsync(reader.io, reader.advance())) {
      for (let item = reader.next(); item !== undefined; item = reader.next()) {
        if (watch !== undefined) watch.beforeItem();
        yield item;
        if (watch !== undefined) watch.beforeItem();
        if (--left <= 0) {
          left = pace.look();
          if (left === 0) await nextTurn();
        }
      }
    }
    watch?.finish();
  } finally {
    reader.close();
  }
}

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
