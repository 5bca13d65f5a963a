import { damaged } from './message.js';

/** The header of a message that is a part of one over the server's limit: `<number>/<of>`. */
export const PART_HEADER = 'Walstack-Part';

/** What of the limit of a message its headers may need. */
export const HEADERS_BYTES = 512;

/** Which part of a message. */
export interface PartNumber {
  /** From 1 on. */
  readonly number: number;
  readonly of: number;
}

/** The pieces of a message over the limit, each as long as it allows; the message alone when it is not over it. */
export function split(bytes: Uint8Array, limit: number): readonly Uint8Array[] {
  if (bytes.length <= limit) return [bytes];
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += limit) parts.push(bytes.subarray(at, at + limit));
  return parts;
}

/** @throws `WAL_CORRUPT` */
export function parsePart(value: string, where: string): PartNumber {
  const [, number = 0, of = 0] = (/^(\d+)\/(\d+)$/.exec(value) ?? []).map(Number);
  if (number < 1 || number > of || of < 2) throw damaged(where, 'part', `it is part "${value}" of a message`);
  return { number, of };
}

/**
 * Joins the parts of messages as they come. A message of which a writer has published only the first parts, because it was killed
 * or lost its connection, is published again from its first part on.
 */
export class PartJoiner {
  #parts: Uint8Array[] = [];
  /** Whether a message has begun: the first parts of the first message may have been dropped from the stream. */
  #isBegun = false;

  /**
   * The next message of the stream.
   *
   * @param part - its header with the number of the part; empty when it is no part
   * @returns the whole when it is no part, or the last one
   * @throws `WAL_CORRUPT` for a part out of order
   */
  next(part: string, bytes: Uint8Array, where: string): Uint8Array | undefined {
    const number = part === '' ? undefined : parsePart(part, where);
    this.#isBegun ||= number === undefined || number.number === 1;
    if (number !== undefined) return this.#isBegun ? this.add(number, bytes, where) : undefined;
    this.#parts = [];
    return bytes;
  }

  /** @returns the message when this is its last part @throws `WAL_CORRUPT` for a part out of order */
  add({ number, of }: PartNumber, bytes: Uint8Array, where: string): Uint8Array | undefined {
    if (number === 1) this.#parts = [];
    if (number !== this.#parts.length + 1) {
      throw damaged(where, 'part', `it is part ${number} of ${of} of a message, behind ${this.#parts.length} others`);
    }
    this.#parts.push(bytes);
    if (number < of) return undefined;
    const message = Buffer.concat(this.#parts);
    this.#parts = [];
    return new Uint8Array(message.buffer, message.byteOffset, message.length);
  }
}
