import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Subject } from './subject.js';
import { TurnGroup } from './turn-group.js';

/** What is used of the package. */
interface Database {
  pragma(source: string): unknown;
  exec(source: string): unknown;
  prepare(source: string): Statement;
  close(): void;
}

interface Statement {
  run(...parameters: readonly unknown[]): unknown;
  pluck(): Statement;
  all(...parameters: readonly unknown[]): unknown[];
  get(...parameters: readonly unknown[]): unknown;
}

export type BetterSqlite3 = new (path: string) => Database;

/** Rows of one query while reading. */
const PAGE = 1000;

const HOW =
  "SQLite's WAL mode with locking_mode=EXCLUSIVE (no shared memory), statements prepared once, the LSN as the rowid. " +
  'append: synchronous=OFF, one transaction for everything, pages of 16 KiB, a cache of 64 MiB. durable: ' +
  'synchronous=FULL; all commits that wait when a turn of the event loop ends share one transaction (with one committer that is a ' +
  'transaction a commit). sync: a transaction a commit, or a batch. replay: 1,000 rows a query, memory-mapped';

/** SQLite, through better-sqlite3. */
export function betterSqlite3(Constructor: BetterSqlite3, version: string): Subject {
  const open = (path: string, ...pragmas: readonly string[]): Database => {
    mkdirSync(path, { recursive: true });
    const database = new Constructor(join(path, 'log.db'));
    for (const pragma of pragmas) database.pragma(pragma);
    database.exec('CREATE TABLE IF NOT EXISTS log (lsn INTEGER PRIMARY KEY, payload BLOB NOT NULL)');
    return database;
  };
  const openDurable = (path: string) => {
    const database = open(path, 'locking_mode=EXCLUSIVE', 'journal_mode=WAL', 'synchronous=FULL');
    const statement = (source: string) => database.prepare(source);
    return { database, insert: statement(INSERT), begin: statement('BEGIN IMMEDIATE'), commit: statement('COMMIT') };
  };
  return {
    name: 'better-sqlite3',
    how: `${version}: ${HOW}`,
    appending: async (path) => {
      const fast = ['page_size=16384', 'cache_size=-65536', 'locking_mode=EXCLUSIVE', 'journal_mode=WAL'];
      const database = open(path, ...fast, 'synchronous=OFF');
      const insert = database.prepare(INSERT);
      let begun = false;
      return {
        take: (record, from, to) => {
          if (!begun) database.exec('BEGIN');
          begun = true;
          for (let number = from; number <= to; number++) insert.run(number, record.numbered(number));
          return to + 1;
        },
        ready: async () => {},
        flush: async () => void database.exec('COMMIT'),
        close: async () => database.close(),
      };
    },
    committing: async (path) => {
      const { database, insert, begin, commit } = openDurable(path);
      const group = new TurnGroup((records) => {
        if (records.length > 1) begin.run();
        for (const { number, payload } of records) insert.run(number, payload);
        if (records.length > 1) commit.run();
      });
      return { commit: (payload) => group.commit(payload), close: async () => database.close() };
    },
    blocking: (path) => {
      const { database, insert, begin, commit } = openDurable(path);
      let number = 0;
      return {
        commit: (payload) => void insert.run(++number, payload),
        commitBatch: (record, from, to) => {
          if (to > from) begin.run();
          for (let each = from; each <= to; each++) insert.run(each, record.numbered(each));
          if (to > from) commit.run();
        },
        close: () => database.close(),
      };
    },
    reading: async (path) => {
      const database = open(path, 'mmap_size=17179869184');
      const query = database.prepare('SELECT payload FROM log WHERE lsn >= ? AND lsn < ? ORDER BY lsn').pluck();
      const last = Number(database.prepare('SELECT coalesce(max(lsn), 0) FROM log').pluck().get());
      return {
        forEach: async (f) => {
          for (let first = 1; first <= last; first += PAGE) {
            const payloads = query.all(first, first + PAGE) as Uint8Array[];
            for (let index = 0; index < payloads.length; index++) f(payloads[index] as Uint8Array, first + index);
          }
        },
        close: async () => database.close(),
      };
    },
  };
}

const INSERT = 'INSERT INTO log VALUES (?, ?)';
