import { WalError } from '@walstack/codec';
import type { Environment, SegmentedWal } from '@walstack/segmented';
import { ENTRY_HEADER_BYTES, writeEntryHeader } from './entry.js';

/** The size of the memory in which entries are encoded; a longer entry, header included, gets a temporary buffer. */
const SCRATCH_BYTES = 64 * 1024;

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** Encodes the entries of one core and appends them to its log, with times that never decrease. */
export class EntryAppender {
  readonly #log: SegmentedWal;
  readonly #coreId: number;
  readonly #now: Environment['now'];
  #timestampUs: number;
  #position: number;
  /** An entry is being encoded; the clock that it calls must not append. */
  #isAppending = false;
  /** The memory in which entries are encoded, header and value. */
  readonly #scratch = new Uint8Array(SCRATCH_BYTES);
  readonly #scratchView = new DataView(this.#scratch.buffer);
  /** A view of the first bytes, as many as the last entry had: entries often have the length of the one before. */
  #scratchBytes = this.#scratch;
  /** One object, reused for every entry. */
  readonly #options = { type: 0, meta: NO_BYTES };

  /** @param timestampUs - the time of the last entry */
  constructor(log: SegmentedWal, coreId: number, timestampUs: number, now: Environment['now']) {
    this.#log = log;
    this.#coreId = coreId;
    this.#now = now;
    this.#timestampUs = timestampUs;
    this.#position = log.position;
  }

  /** The position after the last entry. */
  get position(): number {
    return this.#position;
  }

  /** The time of the last entry, in microseconds. */
  get timestampUs(): number {
    return this.#timestampUs;
  }

  /** Appends an entry. @returns the position after it @throws when it was not appended */
  append(operation: number, key: Uint8Array, value: Uint8Array, epoch: number): number {
    // An entry appended by the clock would overwrite the epoch and the memory of the entry being encoded.
    if (this.#isAppending) throw appendWithinAppend(this.#coreId);
    this.#isAppending = true;
    try {
      return this.#append(operation, key, value, epoch);
    } finally {
      this.#isAppending = false;
    }
  }

  #append(operation: number, key: Uint8Array, value: Uint8Array, epoch: number): number {
    const bytes = this.#scratchFor(ENTRY_HEADER_BYTES + value.length);
    const view = bytes === this.#scratchBytes ? this.#scratchView : new DataView(bytes.buffer);
    const timestampUs = this.#time();
    writeEntryHeader(view, operation, this.#coreId, epoch, this.#log.nextLsn, timestampUs);
    bytes.set(value, ENTRY_HEADER_BYTES);
    this.#options.type = operation;
    this.#options.meta = key;
    try {
      this.#log.append(bytes, this.#options);
    } catch (error) {
      throw withoutHeader(error, bytes.length);
    }
    this.#timestampUs = timestampUs;
    this.#position = this.#log.position;
    return this.#position;
  }

  /** Never decreases, and stays within what an entry can hold: for an invalid time of the clock, the last time is repeated. */
  #time(): number {
    const time = Math.floor(this.#now() * 1000);
    return time > this.#timestampUs ? Math.min(time, Number.MAX_SAFE_INTEGER) : this.#timestampUs;
  }

  #scratchFor(length: number): Uint8Array<ArrayBuffer> {
    if (length > SCRATCH_BYTES) return new Uint8Array(length);
    if (length !== this.#scratchBytes.length) this.#scratchBytes = new Uint8Array(this.#scratch.buffer, 0, length);
    return this.#scratchBytes;
  }
}

/** Expresses the size limit in bytes of the value; the error of the log counts the entry's header, too. */
function withoutHeader(error: unknown, bytes: number): unknown {
  if (!WalError.is(error, 'WAL_TOO_LARGE') || error.actual !== bytes || error.limit === undefined) return error;
  const [actual, limit] = [bytes - ENTRY_HEADER_BYTES, error.limit - ENTRY_HEADER_BYTES];
  const message = `a value of ${actual} bytes is over the limit of ${limit}: nothing was appended`;
  return new WalError('WAL_TOO_LARGE', message, { actual, limit }, { cause: error });
}

function appendWithinAppend(coreId: number): WalError {
  const message = `the clock of core ${coreId} cannot append: it was called for the time of another entry; nothing was appended`;
  return new WalError('WAL_STATE', message, { state: 'appending' });
}
