import { replayDirectory, type WalRecord } from '@walstack/mmap-reader';
import type { Context } from '../context.js';
import { decodingOf, type KeyOptions } from '../log/options.js';
import type { ImportedRecord } from './record-lines.js';

/** What a log has in place of a record that is to be imported with its LSN. */
export type Comparison = 'same' | 'different' | 'lost' | 'truncated';

/** The records that a log has already, read along with the lines of an import. */
export class StoredRecords {
  readonly #directory: string;
  readonly #firstLsn: number;
  readonly #options: KeyOptions;
  readonly #context: Context;
  #records: AsyncIterator<WalRecord> | undefined;
  #record: WalRecord | undefined;

  /** @param firstLsn - of the log: what is before it was truncated */
  constructor(directory: string, firstLsn: number, options: KeyOptions, context: Context) {
    this.#directory = directory;
    this.#firstLsn = firstLsn;
    this.#options = options;
    this.#context = context;
  }

  /** Compares a record with the one that has its LSN. @throws what `replayDirectory` throws */
  async compare(lsn: number, { payload, options }: ImportedRecord): Promise<Comparison> {
    if (lsn < this.#firstLsn) return 'truncated';
    if (this.#record === undefined || this.#record.lsn > lsn) await this.#startAt(lsn);
    while (this.#record !== undefined && this.#record.lsn < lsn) await this.#advance();
    const stored = this.#record;
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

  async #startAt(lsn: number): Promise<void> {
    await this.close();
    const records = replayDirectory(this.#directory, {
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
