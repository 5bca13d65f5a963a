/** Payloads that say which one they are, so that what is read back can be checked. */

/** The records of most cases. */
export const RECORD_BYTES = 100;

/** A payload that can be written over: whoever takes it copies it. */
export class NumberedRecord {
  readonly bytes: Uint8Array;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes).fill(0x77);
  }

  /** The payload of the record with this number, unsigned 32 bits. */
  numbered(number: number): Uint8Array {
    this.bytes[0] = number;
    this.bytes[1] = number >>> 8;
    this.bytes[2] = number >>> 16;
    this.bytes[3] = number >>> 24;
    return this.bytes;
  }
}

/** Checks that records come in order, each once. It makes nothing: it runs for every record that is read in a measurement. */
export class RecordCheck {
  readonly #first: number;
  #count = 0;

  /** @param first - the number of the record that has to come first */
  constructor(first = 1) {
    this.#first = first;
  }

  get count(): number {
    return this.#count;
  }

  /** @throws when it is not the record that has to come next */
  next(payload: Uint8Array, bytes: number): void {
    const expected = this.#first + this.#count++;
    const number = payload.length === bytes ? numberOf(payload) : Number.NaN;
    if (number !== expected) throw new Error(`record ${expected} is ${number}, of ${payload.length} bytes`);
  }

  /** @throws when there were more, or fewer */
  end(expected: number): void {
    if (this.#count !== expected) throw new Error(`${expected} records were written, ${this.#count} are there`);
  }
}

const numberOf = (payload: Uint8Array): number =>
  (byteOf(payload, 0) | (byteOf(payload, 1) << 8) | (byteOf(payload, 2) << 16) | (byteOf(payload, 3) << 24)) >>> 0;

const byteOf = (bytes: Uint8Array, index: number): number => bytes[index] ?? 0;
