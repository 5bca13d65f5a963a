import { errnoNamed, errnoOf } from '../../errors/system-error.js';
import { isInterrupted, isLastPiece, REPEATS_MAX, wholeBlocks } from './pieces.js';

/** `fill` writes zeros, which come from no buffer of the caller. */
export type TransferKind = 'read' | 'write' | 'durable-write' | 'fill';

/**
 * The progress of a read or write that the operating system may carry out in pieces. It decides what the next piece is;
 * the caller carries it out.
 */
export class Transfer {
  readonly kind: TransferKind;
  readonly #offset: number;
  readonly #length: number;
  readonly #bytes: Uint8Array;
  readonly #alignment: number;
  #moved = 0;
  #repeats = 0;

  private constructor(kind: TransferKind, bytes: Uint8Array, offset: number, length: number, alignment: number) {
    this.kind = kind;
    this.#bytes = bytes;
    this.#offset = offset;
    this.#length = length;
    this.#alignment = alignment;
  }

  /**
   * Moves all of `bytes` at `offset`; both are multiples of `alignment`.
   *
   * @param length - the length of `bytes` when they were submitted, if that was earlier
   */
  static of(
    kind: 'read' | 'write' | 'durable-write',
    bytes: Uint8Array,
    offset: number,
    alignment: number,
    length = bytes.length,
  ): Transfer {
    return new Transfer(kind, bytes, offset, length, alignment);
  }

  /** Writes `zeros` repeatedly from `offset` up to `end`; nothing when `end` is not after `offset`. Result: 0. */
  static fill(offset: number, end: number, zeros: Uint8Array, alignment: number): Transfer {
    return new Transfer('fill', zeros, offset, Math.max(0, end - offset), alignment);
  }

  /** Whether there is nothing to do at all. */
  get empty(): boolean {
    return this.#length === 0;
  }

  /** The file offset of the next piece. */
  get position(): number {
    return this.#offset + this.#moved;
  }

  /** The memory of the next piece. */
  get rest(): Uint8Array {
    if (this.kind === 'fill') return this.#bytes.subarray(0, Math.min(this.#bytes.length, this.#length - this.#moved));
    return this.#moved === 0 ? this.#bytes : this.#bytes.subarray(this.#moved);
  }

  /** A piece of `count` bytes was moved. Returns the result of the whole transfer, or `undefined` while it goes on. */
  advance(count: number | undefined): number | undefined {
    if (!this.#isIntact) return errnoNamed('EFAULT');
    if (count === undefined || !Number.isInteger(count) || count < 0 || count > this.#length - this.#moved) {
      return errnoNamed('EIO');
    }
    const moved = this.#moved + count;
    if (isLastPiece(this.kind === 'read', count, moved, this.#length, this.#alignment)) {
      return this.kind === 'fill' ? 0 : moved;
    }
    if (count === 0) return errnoNamed('EIO');
    const whole = wholeBlocks(count, this.#alignment);
    if (whole === 0) return this.#repeat(errnoNamed('EIO'));
    this.#repeats = 0;
    this.#moved += whole;
    return undefined;
  }

  /** Whether the memory is what it was given: it may have been detached or resized meanwhile. */
  get #isIntact(): boolean {
    return this.kind === 'fill' || this.#bytes.length === this.#length;
  }

  /** A piece has failed. Returns the result of the whole transfer, or `undefined` when the piece is to be repeated. */
  fail(error: unknown): number | undefined {
    if (!this.#isIntact) return errnoNamed('EFAULT');
    const errno = errnoOf(error);
    return isInterrupted(errno) ? this.#repeat(errno) : errno;
  }

  /** The same piece once more, or `failure` where that has been tried often enough. */
  #repeat(failure: number): number | undefined {
    if (this.#repeats >= REPEATS_MAX) return failure;
    this.#repeats += 1;
    return undefined;
  }
}
