import { errnoNamed, errnoOf } from './system-error.js';

/** `fill` writes zeros, which are nobody's buffer. */
export type TransferKind = 'read' | 'write' | 'durable-write' | 'fill';

/** An interrupted call that has moved nothing is repeated; one that never gets anywhere is an error in the end. */
const REPEATS_MAX = 100;

const ZEROS = new Uint8Array(256 * 1024);
const NOTHING = new Uint8Array(0);

/**
 * How far a read or write has come that the operating system may carry out in pieces. It decides what is next; carrying
 * it out is the caller's.
 */
export class Transfer {
  readonly kind: TransferKind;
  readonly #offset: number;
  readonly #length: number;
  readonly #bytes: Uint8Array;
  #moved = 0;
  #repeats = 0;

  private constructor(kind: TransferKind, bytes: Uint8Array, offset: number, length: number) {
    this.kind = kind;
    this.#bytes = bytes;
    this.#offset = offset;
    this.#length = length;
  }

  /** Moves all of `bytes` at `offset`. */
  static of(kind: 'read' | 'write' | 'durable-write', bytes: Uint8Array, offset: number): Transfer {
    return new Transfer(kind, bytes, offset, bytes.length);
  }

  /** Writes zeros from `offset` up to `end`; nothing when that lies before it. Result: 0. */
  static zeros(offset: number, end: number): Transfer {
    return new Transfer('fill', NOTHING, offset, Math.max(0, end - offset));
  }

  /** Whether there is nothing to do at all. */
  get empty(): boolean {
    return this.#length === 0;
  }

  /** Where the next piece lies in the file. */
  get position(): number {
    return this.#offset + this.#moved;
  }

  /** The memory of the next piece. */
  get rest(): Uint8Array {
    if (this.kind === 'fill') return ZEROS.subarray(0, Math.min(ZEROS.length, this.#length - this.#moved));
    return this.#moved === 0 ? this.#bytes : this.#bytes.subarray(this.#moved);
  }

  /** A piece of `count` bytes was moved. Returns the result of the whole, or `undefined` when it goes on. */
  advance(count: number | undefined): number | undefined {
    if (count === undefined || !Number.isInteger(count) || count < 0 || count > this.#length - this.#moved) {
      return errnoNamed('EIO');
    }
    if (count === 0) return this.kind === 'read' ? this.#moved : errnoNamed('EIO');
    this.#repeats = 0;
    this.#moved += count;
    if (this.#moved < this.#length) return undefined;
    return this.kind === 'fill' ? 0 : this.#moved;
  }

  /** A piece has failed. Returns the result of the whole, or `undefined` when it is to be repeated. */
  fail(error: unknown): number | undefined {
    const code = (error as NodeJS.ErrnoException).code;
    if ((code === 'EINTR' || code === 'EAGAIN') && this.#repeats < REPEATS_MAX) {
      this.#repeats += 1;
      return undefined;
    }
    return errnoOf(error);
  }
}
