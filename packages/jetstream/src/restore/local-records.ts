import { type Lsn, WalError } from '@walstack/codec';
import { LogTail } from '@walstack/mmap-reader';
import { asStored, type StoredRecord } from '@walstack/mmap-reader/internal';
import type { StorageIo } from '@walstack/storage-io';

/** The records of a log in a directory, as they are stored. */
export class LocalRecords {
  readonly #io: StorageIo;
  readonly #path: string;
  #tail: LogTail | undefined;
  /** The next record; `undefined` when it was not read yet. */
  #ahead: StoredRecord | undefined;

  constructor(io: StorageIo, path: string) {
    this.#io = io;
    this.#path = path;
  }

  /** The first LSN of the log. @throws `WAL_NOT_FOUND` */
  async first(): Promise<Lsn> {
    const tail = new LogTail(this.#io, this.#path, asStored({ from: 'first', onHole: 'skip' }));
    try {
      await tail.advance();
      return tail.nextLsn ?? 1;
    } finally {
      tail.close();
    }
  }

  /**
   * A record, in order, or before what was read.
   *
   * @returns `undefined` when the log ends before it
   * @throws `WAL_TRUNCATED` with `firstLsn` when it was truncated; then the next one can be read
   */
  async read(lsn: Lsn): Promise<StoredRecord | undefined> {
    if (this.#tail === undefined || (this.#tail.nextLsn ?? lsn) > lsn + (this.#ahead === undefined ? 0 : 1))
      this.#begin(lsn);
    const record = this.#ahead ?? (await this.#next());
    this.#ahead = record !== undefined && record.lsn > lsn ? record : undefined;
    return record?.lsn === lsn ? record : undefined;
  }

  /** The last LSN of the log, from where reading is. */
  async last(): Promise<Lsn> {
    let last = (this.#tail?.nextLsn ?? (await this.first())) - 1;
    if (this.#tail === undefined) this.#begin(last + 1);
    for (let record = await this.#next(); record !== undefined; record = await this.#next()) last = record.lsn;
    return last;
  }

  close(): void {
    this.#tail?.close();
  }

  #begin(lsn: Lsn): void {
    this.close();
    this.#ahead = undefined;
    this.#tail = new LogTail(this.#io, this.#path, asStored({ from: lsn, onHole: 'skip' }));
  }

  async #next(): Promise<StoredRecord | undefined> {
    const tail = this.#tail as LogTail;
    for (;;) {
      const record = tail.next();
      if (record !== undefined) return record as StoredRecord;
      if (!(await this.#advance(tail))) return undefined;
    }
  }

  async #advance(tail: LogTail): Promise<boolean> {
    try {
      return await tail.advance();
    } catch (error) {
      // The log ends before the record, which was never in it, or not any more.
      if (WalError.is(error, 'WAL_TRUNCATED') && error.reason === 'cut-back') return false;
      // The next record that is read begins anew.
      tail.close();
      this.#tail = undefined;
      throw error;
    }
  }
}
