import { replayDirectory, type WalRecord } from '@walstack/mmap-reader';
import type { Wal } from '@walstack/wal';
import type { Context } from '../context.js';
import { decodingOf, type KeyOptions } from '../log/options.js';
import type { ImportedRecord } from './record-lines.js';

/** What a log has in place of a record that is to be imported with its LSN. */
export type Comparison = 'same' | 'different' | 'lost' | 'truncated';

/** The records that a log has, those that it had already read along with the lines of an import. */
export class StoredRecords {
  readonly #wal: Wal;
  readonly #lastLsn: number;
  readonly #options: KeyOptions;
  readonly #context: Context;
  #records: AsyncIterator<WalRecord> | undefined;
  #record: WalRecord | undefined;
  /** From this LSN on up to that of `#record`, or to the end, nothing is stored. */
  #missingFrom = Number.POSITIVE_INFINITY;

  /** @param wal - before the import has appended anything */
  constructor(wal: Wal, options: KeyOptions, context: Context) {
    this.#wal = wal;
    this.#lastLsn = wal.lastLsn;
    this.#options = options;
    this.#context = context;
  }

  /** Compares a record with the one that has its LSN. @throws what `replayDirectory` throws */
  async compare(lsn: number, { payload, options }: ImportedRecord): Promise<Comparison> {
    if (lsn < this.#wal.firstLsn) return 'truncated';
    const stored = lsn > this.#lastLsn ? await this.#wal.read(lsn) : await this.#storedBefore(lsn);
    if (stored?.lsn !== lsn) return 'lost';
    const { type = 0, meta = new Uint8Array(), tenantId, databaseId, vshardId } = options;
    const { scope } = stored;
    const isSame =
      stored.type === type &&
      Buffer.compare(stored.payload, payload) === 0 &&
      Buffer.compare(stored.meta, meta as Uint8Array) === 0 &&
      scope?.tenantId === tenantId &&
      scope?.databaseId === databaseId &&
      scope?.vshardId === vshardId;
    return isSame ? 'same' : 'different';
  }

  /** Closes the files. */
  async close(): Promise<void> {
    await this.#records?.return?.();
    this.#records = undefined;
    this.#record = undefined;
  }

  /** The record with an LSN, or a later one, of those that the log had before the import. */
  async #storedBefore(lsn: number): Promise<WalRecord | undefined> {
    if (lsn < this.#missingFrom) await this.#startAt(lsn);
    while (this.#record !== undefined && this.#record.lsn < lsn) await this.#advance();
    this.#missingFrom = lsn;
    return this.#record;
  }

  async #startAt(lsn: number): Promise<void> {
    await this.close();
    const records = replayDirectory(this.#wal.directory, {
      ...(await decodingOf(this.#options)),
      from: lsn,
      onHole: 'skip',
      copy: false,
      signal: this.#context.signal,
    });
    this.#records = records[Symbol.asyncIterator]();
    await this.#advance();
  }

  async #advance(): Promise<void> {
    const { done, value } = await (this.#records as AsyncIterator<WalRecord>).next();
    this.#record = done === true ? undefined : value;
  }
}
