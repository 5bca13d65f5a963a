import { invalidType } from '@walstack/codec/internal';
import { type AppendOptions, Batch } from '@walstack/segmented';
import { APPEND_OPTIONS } from '@walstack/segmented/internal';
import { readOnce } from './copy-arguments.js';

/**
 * Events that are appended atomically: after any crash the log has all of them or none. A `Batch` whose payloads go through
 * a log's encoding. `wal.batch()` makes one.
 */
export class EventBatch<I> {
  readonly #encode: (payload: I, options?: AppendOptions) => Uint8Array | string;
  readonly #readsOptions: boolean;
  /** The encoded records that are appended. */
  readonly records: Batch;

  /**
   * @param encode - returns the bytes of a payload
   * @param records - that it begins with
   * @param readsOptions - whether `encode` reads the options: each of them is read once then. Default `false`
   */
  constructor(
    encode: (payload: I, options?: AppendOptions) => Uint8Array | string,
    records: Batch = new Batch(),
    readsOptions = false,
  ) {
    this.#encode = encode;
    this.records = records;
    this.#readsOptions = readsOptions;
  }

  /**
   * Adds an event after those added before. Bytes are copied before the call returns.
   *
   * @returns this batch
   * @throws `WAL_TOO_LARGE` for a meta over 65,535 bytes, `WAL_STATE` when the batch is spent; what the encoding throws;
   * `TypeError` or `RangeError` for wrong arguments. Nothing was added then.
   */
  add(payload: I, options?: AppendOptions): this {
    const known = this.#readsOptions ? readOnce(options, APPEND_OPTIONS) : options;
    this.records.add(this.#encode(payload, known), known);
    return this;
  }

  /** The number of its events. */
  get length(): number {
    return this.records.length;
  }

  /** Bytes of its events with their headers, as in a log without compression and encryption. */
  get sizeBytes(): number {
    return this.records.sizeBytes;
  }

  /** Whether it was appended to a log, or waits for that. */
  get isSpent(): boolean {
    return this.records.isSpent;
  }

  /** A batch of the same events that is not spent, even if this one is. */
  clone(): EventBatch<I> {
    return new EventBatch(this.#encode, this.records.clone(), this.#readsOptions);
  }
}

/** The records of a batch. @throws `TypeError` for a value that is not a batch */
export function recordsOf<I>(batch: Batch | EventBatch<I>): Batch {
  const records = batch instanceof EventBatch ? batch.records : batch;
  if (records instanceof Batch) return records;
  throw invalidType('batch', 'a Batch', batch);
}
