import { MAXIMUM_META_BYTES, recordFrameBytes, WalError } from '@walstack/codec';
import { type AppendOptions, keptBodyOf, NO_OPTIONS, type RecordBody } from './write/record-body.js';
import { tooLarge } from './write/too-large.js';

let contentsOf: (batch: Batch) => readonly RecordBody[];
let spend: (batch: Batch) => void;

/**
 * Records that are appended together, and are in the log all of them or none, whatever crash comes.
 *
 * A batch is made up without a log, and handed to `appendBatch`, after which it is spent: it cannot be changed or
 * appended again, but {@link clone} makes one that can.
 *
 * ```ts
 * const batch = new Batch().add('debit 20', { type: 1 }).add('credit 20', { type: 2 });
 * wal.appendBatch(batch);
 * ```
 */
export class Batch {
  readonly #records: RecordBody[] = [];
  #sizeBytes = 0;
  #spent = false;
  /** What was moved out, and may come back. */
  #taken: Batch | undefined;

  static {
    contentsOf = (batch) => batch.#records;
    spend = (batch) => {
      batch.#spent = true;
    };
  }

  /**
   * Adds a record behind those added before.
   *
   * @param payload - bytes, copied before the call returns, or a string without lone surrogates, which is encoded as UTF-8; may be
   * empty
   * @returns this batch
   * @throws `WAL_TOO_LARGE` for a meta over 65,535 bytes, `WAL_STATE` when the batch is spent; `TypeError` or `RangeError`
   * for wrong arguments. Nothing was added then. How long a payload may be is for the log to say.
   */
  add(payload: Uint8Array | string, options: AppendOptions = NO_OPTIONS): this {
    throwIfSpent(this);
    const body = keptBodyOf(payload, options);
    throwIfSpent(this);
    if (body.meta.length > MAXIMUM_META_BYTES) throw tooLarge('meta', body.meta.length, MAXIMUM_META_BYTES, 'added');
    this.#records.push(body);
    this.#sizeBytes += recordFrameBytes(body.payload.length, body.meta.length, body.scope !== undefined);
    return this;
  }

  /** How many records it has. */
  get length(): number {
    return this.#records.length;
  }

  /** Bytes of its records with their headers, as they stand in a log that neither compresses nor encrypts. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether it was appended to a log, or waits to be. */
  get isSpent(): boolean {
    return this.#spent;
  }

  /** A batch of the same records that is not spent, also where this one is. */
  clone(): Batch {
    const copy = new Batch();
    for (const record of this.#records) copy.#records.push(record);
    copy.#sizeBytes = this.#sizeBytes;
    return copy;
  }

  /**
   * Moves the records out: a batch that is not spent, and leaves this one spent. For what is appended later as it was when
   * it was given; {@link giveBack} undoes it.
   *
   * @throws `WAL_STATE` when the batch is spent
   */
  take(): Batch {
    throwIfSpent(this);
    const taken = this.clone();
    this.#spent = true;
    this.#taken = taken;
    return taken;
  }

  /** Undoes the last {@link take}, unless what was taken was appended: this batch is not spent then, as before. */
  giveBack(): void {
    if (this.#taken === undefined || this.#taken.#spent) return;
    this.#taken = undefined;
    this.#spent = false;
  }
}

/** The records of a batch, for the log that it is appended to. */
export const recordsOf = (batch: Batch): readonly RecordBody[] => contentsOf(batch);

/** Takes note that a batch was appended. */
export const markSpent = (batch: Batch): void => spend(batch);

/** @throws `WAL_STATE` when a batch was appended to a log before */
export function throwIfSpent(batch: Batch): void {
  if (!batch.isSpent) return;
  throw new WalError(
    'WAL_STATE',
    'the batch was appended already, or waits to be, and is spent: make a new one, or append batch.clone()',
    { state: 'spent' },
  );
}
