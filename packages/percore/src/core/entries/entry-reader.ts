import { WalError } from '@walstack/codec';
import type { LogReader, WalProgress, WalRecord } from '@walstack/segmented';
import type { IoRoutine } from '@walstack/storage-io';
import { type CoreEntry, decodeEntry } from './entry.js';

/** Decodes the records of one core to entries, in their order, up to an epoch. */
export class EntryDecoder {
  readonly coreId: number;
  readonly #directory: string;
  readonly #toEpoch: number;
  #epoch = 0;
  #timestampUs = 0;
  #isPastLastEpoch = false;

  /**
   * @param directory - of the log, for errors
   * @param toEpoch - the last epoch that is read; `Infinity` for all
   */
  constructor(coreId: number, directory: string, toEpoch: number) {
    this.coreId = coreId;
    this.#directory = directory;
    this.#toEpoch = toEpoch;
  }

  /** Whether the reader met an entry of a later epoch than asked for; all entries after it are later, too. */
  get isPastLastEpoch(): boolean {
    return this.#isPastLastEpoch;
  }

  /** The entry of a record; `undefined` past the last epoch. @throws `WAL_CORRUPT`, `WAL_UNSUPPORTED_VERSION` */
  decode(record: WalRecord): CoreEntry | undefined {
    const entry = decodeEntry(record, this.coreId, this.#directory);
    if (entry.epoch > this.#toEpoch) {
      this.#isPastLastEpoch = true;
      return undefined;
    }
    this.#checkOrder(entry);
    return entry;
  }

  #checkOrder({ epoch, timestampUs, sequence }: CoreEntry): void {
    if (epoch < this.#epoch || timestampUs < this.#timestampUs) {
      throw new WalError(
        'WAL_CORRUPT',
        `the entry with LSN ${sequence} in ${this.#directory} has a lower epoch or time than the one before it: nothing was changed`,
        { path: this.#directory, lsn: sequence, reason: 'order' },
      );
    }
    this.#epoch = epoch;
    this.#timestampUs = timestampUs;
  }
}

/**
 * The entries of one core in their order, up to an epoch. It is used like the `LogReader` underneath: `next()` takes from
 * the buffer, `advance()` reads more.
 */
export class EntryReader {
  readonly #reader: LogReader;
  readonly #decoder: EntryDecoder;

  /** @param directory, toEpoch - as of an {@link EntryDecoder} */
  constructor(reader: LogReader, coreId: number, directory: string, toEpoch: number) {
    this.#reader = reader;
    this.#decoder = new EntryDecoder(coreId, directory, toEpoch);
  }

  /** How far it is. */
  get progress(): WalProgress {
    return this.#reader.progress;
  }

  get coreId(): number {
    return this.#decoder.coreId;
  }

  /** The next entry in the buffer; `undefined` when `advance()` must read more. */
  next(): CoreEntry | undefined {
    if (this.#decoder.isPastLastEpoch) return undefined;
    const record = this.#reader.next();
    return record === undefined ? undefined : this.#decoder.decode(record);
  }

  /** Reads more. @returns whether there may be further entries */
  *advance(): IoRoutine<boolean> {
    return !this.#decoder.isPastLastEpoch && (yield* this.#reader.advance());
  }

  close(): void {
    this.#reader.close();
  }
}
