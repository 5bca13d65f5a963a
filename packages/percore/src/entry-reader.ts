import { WalError } from '@walstack/codec';
import type { LogReader } from '@walstack/segmented';
import type { IoRoutine } from '@walstack/storage-io';
import { type CoreEntry, decodeEntry } from './entry.js';

/**
 * The entries of one core in their order, up to an epoch. Used as the reader below is: `next()` takes from the buffer,
 * `advance()` reads on.
 */
export class EntryReader {
  readonly coreId: number;
  readonly #reader: LogReader;
  readonly #directory: string;
  readonly #toEpoch: number;
  #epoch = 0;
  #timestampUs = 0;
  #ended = false;

  /**
   * @param directory - of the log, for errors
   * @param toEpoch - the last epoch that is read; `Infinity` for all
   */
  constructor(reader: LogReader, coreId: number, directory: string, toEpoch: number) {
    this.#reader = reader;
    this.coreId = coreId;
    this.#directory = directory;
    this.#toEpoch = toEpoch;
  }

  /** The next entry in the buffer; `undefined` when `advance()` has to read on. */
  next(): CoreEntry | undefined {
    if (this.#ended) return undefined;
    const record = this.#reader.next();
    if (record === undefined) return undefined;
    const entry = decodeEntry(record, this.coreId, this.#directory);
    if (entry.epoch > this.#toEpoch) {
      // Epochs never go back in one log: all behind it are later ones, too.
      this.#ended = true;
      return undefined;
    }
    this.#checkOrder(entry);
    return entry;
  }

  /** Reads on. @returns whether there may be further entries */
  *advance(): IoRoutine<boolean> {
    return !this.#ended && (yield* this.#reader.advance());
  }

  close(): void {
    this.#reader.close();
  }

  #checkOrder({ epoch, timestampUs, sequence }: CoreEntry): void {
    if (epoch < this.#epoch || timestampUs < this.#timestampUs) {
      throw new WalError(
        'WAL_CORRUPT',
        `the entry with LSN ${sequence} in ${this.#directory} goes back in epoch or time: nothing was changed`,
        { path: this.#directory, lsn: sequence, reason: 'order' },
      );
    }
    this.#epoch = epoch;
    this.#timestampUs = timestampUs;
  }
}
