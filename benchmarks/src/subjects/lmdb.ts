import { mkdirSync } from 'node:fs';
import type { Subject } from './subject.js';

/** What is used of the package. */
export interface Lmdb {
  open(options: Readonly<Record<string, unknown>>): Database;
}

interface Database {
  put(key: number, value: Uint8Array, options: { readonly append: true }): Promise<boolean>;
  putSync(key: number, value: Uint8Array, options: { readonly append: true }): unknown;
  transactionSync(work: () => void): unknown;
  getBinaryFast(key: number): Uint8Array | undefined;
  getStats(): { readonly entryCount: number };
  readonly flushed: Promise<unknown>;
  close(): Promise<void>;
}

const OPTIONS = { encoding: 'binary', keyEncoding: 'uint32', compression: false, noMemInit: true };

/** Every page that is appended goes to the end of the file. */
const APPEND = { append: true } as const;

const HOW =
  'uint32 keys, binary values without compression, keys appended (MDB_APPEND), noMemInit. append: noSync, useWritemap, a ' +
  'map of the final size from the start, a synchronous transaction for each turn of the event loop. durable: put, whose ' +
  'promise is fulfilled when the transaction is synced; the package gathers the puts of a turn of the event loop into one ' +
  'transaction. sync: putSync in a transaction a commit, or a batch. replay: getBinaryFast key by key, which is faster than a range';

/** LMDB, through lmdb-js. */
export function lmdb({ open }: Lmdb, version: string): Subject {
  const openAt = (path: string, options: Readonly<Record<string, unknown>> = {}): Database => {
    mkdirSync(path, { recursive: true });
    return open({ path, ...OPTIONS, ...options });
  };
  return {
    name: 'lmdb',
    how: `${version}: ${HOW}`,
    appending: async (path, bytes) => {
      const database = openAt(path, { noSync: true, useWritemap: true, mapSize: mapBytesFor(bytes) });
      return {
        take: (record, from, to) => {
          database.transactionSync(() => {
            for (let number = from; number <= to; number++) database.putSync(number, record.numbered(number), APPEND);
          });
          return to + 1;
        },
        ready: async () => {},
        // Nothing is kept back: committed pages are the operating system's.
        flush: async () => {},
        close: () => database.close(),
      };
    },
    committing: async (path) => {
      const database = openAt(path);
      let number = 0;
      return {
        commit: (payload) => database.put(++number, Buffer.from(payload), APPEND),
        close: () => database.close(),
      };
    },
    blocking: (path) => {
      const database = openAt(path, { overlappingSync: false });
      let number = 0;
      return {
        commit: (payload) =>
          void database.transactionSync(() => {
            database.putSync(++number, payload, APPEND);
          }),
        commitBatch: (record, from, to) =>
          void database.transactionSync(() => {
            for (let each = from; each <= to; each++) database.putSync(each, record.numbered(each), APPEND);
          }),
        close: () => database.close(),
      };
    },
    reading: async (path, _payloadBytes, handsOut = 'views') => {
      const database = openAt(path);
      const { entryCount } = database.getStats();
      return {
        forEach: async (f) => {
          for (let number = 1; number <= entryCount; number++) {
            const payload = database.getBinaryFast(number);
            if (payload === undefined) throw new Error(`record ${number} is missing`);
            f(handsOut === 'views' ? payload : Uint8Array.prototype.slice.call(payload), number);
          }
        },
        close: () => database.close(),
      };
    },
  };
}

/** Twice as much as the records take, and room for keys. */
const mapBytesFor = (bytes: number): number => 2 ** Math.ceil(Math.log2(2 * bytes + 2 ** 26));
