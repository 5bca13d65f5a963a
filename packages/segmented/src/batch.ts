import { MAXIMUM_META_BYTES, recordFrameBytes, WalError } from '@walstack/codec';
import { type AppendOptions, bodyOf, NO_OPTIONS, type RecordBody } from './record-body.js';
import { tooLarge } from './too-large.js';

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

  static {
    contentsOf = (batch) => batch.#records;
    spend = (batch) => {
      batch.#spent = true;
    };
  }

  /**
   * Adds a record behind those added before.
   *
   * @param payload - bytes, copied before the call returns, or a string, which is encoded as UTF-8; may be empty
   * @returns this batch
   * @throws `WAL_TOO_LARGE` for a meta over 65,535 bytes, `WAL_STATE` when the batch is spent; `TypeError` or `RangeError`
   * for wrong arguments. Nothing was added then. How long a payload may be is for the log to say.
   */
  add(payload: Uint8Array | string, options: AppendOptions = NO_OPTIONS): this {
    throwIfSpent(this);
    const body = kept(bodyOf(payload, options), typeof payload === 'string', typeof options.meta === 'string');
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

  /** Whether it was appended to a log. */
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
   * Moves the records out: a batch that is not spent, and leaves this one spent. For whoever appends later what they were
   * given now.
   *
   * @throws `WAL_STATE` when the batch is spent
   */
  take(): Batch {
    throwIfSpent(this);
    const taken = this.clone();
    this.#spent = true;
    return taken;
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
    'the batch was appended already, and is spent: make a new one, or append batch.clone()',
    { state: 'spent' },
  );
}

/** The record with copies of the bytes that are the caller's; what came as text is the record's own already. */
function kept(body: RecordBody, ownPayload: boolean, ownMeta: boolean): RecordBody {
  return {
    ...body,
    payload: ownPayload ? body.payload : new Uint8Array(body.payload),
    meta: ownMeta || body.meta.length === 0 ? body.meta : new Uint8Array(body.meta),
  };
}
