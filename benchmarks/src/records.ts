/** Payloads that say which one they are, so that what is read back can be checked. */

/** The records of most cases. */
export const RECORD_BYTES = 100;

/** A payload that can be written over: whoever takes it copies it. */
export class NumberedRecord {
  readonly bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: number) {
    this.bytes = new Uint8Array(bytes).fill(0x77);
    this.#view = new DataView(this.bytes.buffer);
  }

  /** The payload of the record with this number, 1 upwards. */
  numbered(number: number): Uint8Array {
    this.#view.setFloat64(0, number, true);
    return this.bytes;
  }
}

/** Checks that records come in order, each once. */
export class RecordCheck {
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** @throws when it is not the record that has to come next */
  next(payload: Uint8Array, bytes: number): void {
    this.#count++;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    const number = payload.length === bytes ? view.getFloat64(0, true) : Number.NaN;
    if (number !== this.#count) throw new Error(`record ${this.#count} is ${number}, of ${payload.length} bytes`);
  }

  /** @throws when there were more, or fewer */
  end(expected: number): void {
    if (this.#count !== expected) throw new Error(`${expected} records were written, ${this.#count} are there`);
  }
}
