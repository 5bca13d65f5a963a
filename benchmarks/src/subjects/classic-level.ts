import type { Subject } from './subject.js';
import { TurnGroup } from './turn-group.js';

/** What is used of the package. */
export interface ClassicLevel {
  new (path: string, options: Readonly<Record<string, unknown>>): Database;
}

interface Database {
  open(): Promise<void>;
  batch(): ChainedBatch;
  values(options: Readonly<Record<string, unknown>>): ValueIterator;
  close(): Promise<void>;
}

interface ChainedBatch {
  put(key: Uint8Array, value: Uint8Array): unknown;
  write(options?: { readonly sync: boolean }): Promise<void>;
}

interface ValueIterator {
  nextv(size: number): Promise<Uint8Array[]>;
  close(): Promise<void>;
}

const MEBIBYTE = 2 ** 20;

const OPTIONS = {
  keyEncoding: 'buffer',
  valueEncoding: 'buffer',
  compression: false,
  writeBufferSize: 64 * MEBIBYTE,
  maxFileSize: 64 * MEBIBYTE,
};

/** Values of one call while reading. */
const PAGE = 1000;

const HOW =
  'LevelDB without compression, buffers for keys and values, a write buffer and files of 64 MiB. append: chained batches, ' +
  'one for each turn of the event loop. durable: chained batches with sync: true; all commits that wait when a turn of the event ' +
  'loop ends share one, while the next one gathers. It has no blocking calls. replay: values() with nextv(1000), 1 MiB ' +
  'read ahead';

/** LevelDB, through classic-level. */
export function classicLevel(Constructor: ClassicLevel, version: string): Subject {
  const open = async (path: string): Promise<Database> => {
    const database = new Constructor(path, OPTIONS);
    await database.open();
    return database;
  };
  return {
    name: 'classic-level',
    how: `${version}: ${HOW}`,
    appending: async (path) => {
      const database = await open(path);
      const key = new NumberKey();
      return {
        take: async (record, from, to) => {
          const batch = database.batch();
          for (let number = from; number <= to; number++) batch.put(key.of(number), record.numbered(number));
          await batch.write();
          return to + 1;
        },
        ready: async () => {},
        // Nothing is kept back: a batch that is written is the operating system's.
        flush: async () => {},
        close: () => database.close(),
      };
    },
    committing: async (path) => {
      const database = await open(path);
      const key = new NumberKey();
      const group = new TurnGroup((records) => {
        const batch = database.batch();
        for (const { number, payload } of records) batch.put(key.of(number), payload);
        return batch.write({ sync: true });
      });
      return { commit: (payload) => group.commit(payload), close: () => database.close() };
    },
    blocking: undefined,
    reading: async (path) => {
      const database = await open(path);
      return {
        forEach: async (f) => {
          const iterator = database.values({ highWaterMarkBytes: MEBIBYTE, fillCache: false });
          let number = 0;
          for (;;) {
            const payloads = await iterator.nextv(PAGE);
            if (payloads.length === 0) break;
            for (const payload of payloads) f(payload, ++number);
          }
          await iterator.close();
        },
        close: () => database.close(),
      };
    },
  };
}

/** Keys that sort as their numbers do; a chained batch copies them at once. */
class NumberKey {
  readonly #bytes = Buffer.alloc(8);

  of(number: number): Uint8Array {
    // The bytes of positive doubles, highest first, sort as the numbers do.
    this.#bytes.writeDoubleBE(number);
    return this.#bytes;
  }
}
