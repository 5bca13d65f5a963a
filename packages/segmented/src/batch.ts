import { META_BYTES_MAX, recordFrameBytes, WalError } from '@walstack/codec';
import { type AppendOptions, copiedBodyOf, NO_OPTIONS, type RecordBody } from './append/record-body.js';
import { tooLarge } from './log-errors.js';

let contentsOf: (batch: Batch) => readonly RecordBody[];
let spend: (batch: Batch) => void;

/**
 * Records that are appended atomically: after any crash the log has all of them or none.
 *
 * A batch is filled independently of a log and passed to `appendBatch`. After that it is spent: it cannot be changed or
 * appended again, but {@link clone} returns one that can.
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
  /** The batch that {@link take} returned last: {@link giveBack} checks whether it was appended. */
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
   * @param payload - bytes, copied before the call returns, or a string without lone surrogates, encoded as UTF-8; may be
   * empty
   * @returns this batch
   * @throws `WAL_TOO_LARGE` for a meta over 65,535 bytes, `WAL_STATE` when the batch is spent; `TypeError` or `RangeError`
   * for wrong arguments. Nothing was added then. `appendBatch` checks the lengths of the payloads.
   */
  add(payload: Uint8Array | string, options: AppendOptions = NO_OPTIONS): this {
    throwIfSpent(this);
    const body = copiedBodyOf(payload, options);
    throwIfSpent(this);
    if (body.meta.length > META_BYTES_MAX) throw tooLarge('meta', body.meta.length, META_BYTES_MAX, 'added');
    this.#records.push(body);
    this.#sizeBytes += recordFrameBytes(body.payload.length, body.meta.length, body.scope !== undefined);
    return this;
  }

  /** The number of records. */
  get length(): number {
    return this.#records.length;
  }

  /** Bytes of its records with their headers, without compression and encryption. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Whether it was appended to a log, or is waiting to be. */
  get isSpent(): boolean {
    return this.#spent;
  }

  /** A batch with the same records that is not spent, also when this one is. */
  clone(): Batch {
    const copy = new Batch();
    for (const record of this.#records) copy.#records.push(record);
    copy.#sizeBytes = this.#sizeBytes;
    return copy;
  }

  /**
   * Moves the records into a new batch and leaves this one spent: for an append that happens later, with the records as
   * they are now. {@link giveBack} undoes it.
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

  /** Undoes the last {@link take}, unless the batch that it returned was appended: this batch is not spent any more. */
  giveBack(): void {
    if (this.#taken === undefined || this.#taken.#spent) return;
    this.#taken = undefined;
    this.#spent = false;
  }
}

/** The records of a batch: for the log that appends it. */
export const recordsOf = (batch: Batch): readonly RecordBody[] => contentsOf(batch);

/** Marks a batch as appended. */
export const markSpent = (batch: Batch): void => spend(batch);

/** @throws `WAL_STATE` when a batch is spent */
export function throwIfSpent(batch: Batch): void {
  if (!batch.isSpent) return;
  throw new WalError(
    'WAL_STATE',
    'the batch is spent: it was appended already, or is waiting to be; make a new one, or append batch.clone()',
    { state: 'spent' },
  );
}
