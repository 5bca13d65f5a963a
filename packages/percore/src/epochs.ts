import { checkInteger, invalidType, outOfRange } from '@walstack/codec';

/** A cache line, so that nobody else's writes slow down those who only look at the epoch. */
const BUFFER_BYTES = 64;

/** Which of the two words of 32 bits changes with every epoch. */
const LOW_WORD = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

/**
 * The present epoch of a per-core log, in memory that all threads share. Only the coordinator advances it; a writer looks
 * at it before each entry, which costs one atomic load.
 */
export class SharedEpochs {
  /** To be handed to other threads, which use {@link from}. */
  readonly buffer: SharedArrayBuffer;
  readonly #value: BigInt64Array;
  readonly #words: Int32Array;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#value = new BigInt64Array(buffer, 0, 1);
    this.#words = new Int32Array(buffer, 0, 2);
  }

  /** Makes a counter. @param epoch - the first epoch, at least 1 */
  static create(epoch = 1): SharedEpochs {
    checkInteger('epoch', epoch, 1);
    const epochs = new SharedEpochs(new SharedArrayBuffer(BUFFER_BYTES));
    Atomics.store(epochs.#value, 0, BigInt(epoch));
    return epochs;
  }

  /** The counter that another thread has made. */
  static from(buffer: SharedArrayBuffer): SharedEpochs {
    if (!(buffer instanceof SharedArrayBuffer)) throw invalidType('buffer', 'a SharedArrayBuffer', buffer);
    if (buffer.byteLength !== BUFFER_BYTES) {
      throw outOfRange('buffer', `${BUFFER_BYTES} bytes, made by SharedEpochs`, buffer.byteLength);
    }
    return new SharedEpochs(buffer);
  }

  /** The epoch that entries are appended in now. */
  get current(): number {
    return Number(Atomics.load(this.#value, 0));
  }

  /** Changes whenever the epoch does: cheaper to look at than {@link current}. */
  get mark(): number {
    return Atomics.load(this.#words, LOW_WORD);
  }

  /** Begins the next epoch, and returns it. For one caller only. */
  advance(): number {
    return Number(Atomics.add(this.#value, 0, 1n)) + 1;
  }
}
