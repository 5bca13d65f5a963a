import { checkInteger, invalidType, outOfRange, WalError } from '@walstack/codec';

/** A cache line, so that no other writes slow down those that only look at the epoch. */
const BUFFER_BYTES = 64;

/** The last epoch that there is: the number of the one behind it is still one that can be written. */
export const LAST_EPOCH = Number.MAX_SAFE_INTEGER - 1;

/** @throws `WAL_RANGE` for an epoch behind the last one */
export function checkEpochsLeft(epoch: number): void {
  if (epoch <= LAST_EPOCH) return;
  throw new WalError('WAL_RANGE', 'the log has no epochs left: nothing was changed; begin a new log', {
    actual: epoch,
    limit: LAST_EPOCH,
  });
}

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

  /** Makes a counter. @param epoch - the first epoch, at least 1 and less than `Number.MAX_SAFE_INTEGER` */
  static create(epoch = 1): SharedEpochs {
    checkInteger('epoch', epoch, 1, LAST_EPOCH);
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

  /** Changes with every epoch: cheaper to look at than {@link current}. The same again after 2^32 epochs. */
  get mark(): number {
    return Atomics.load(this.#words, LOW_WORD);
  }

  /**
   * Whether the epoch is still the one of two halves, which {@link halvesOf} gives: as cheap as {@link mark}, and never
   * wrong. The lower half is looked at first: when the upper one is the same after it, it was the same before.
   */
  isAt(low: number, high: number): boolean {
    const words = this.#words;
    return Atomics.load(words, LOW_WORD) === low && Atomics.load(words, 1 - LOW_WORD) === high;
  }

  /**
   * Begins the next epoch, and returns it. For one caller only.
   *
   * @throws `WAL_RANGE` when there is none left
   */
  advance(): number {
    checkEpochsLeft(this.current + 1);
    return Number(Atomics.add(this.#value, 0, 1n)) + 1;
  }
}

/** The halves of an epoch's number as {@link SharedEpochs.isAt} compares them: 32 bits each, signed. */
export const halvesOf = (epoch: number): readonly [low: number, high: number] => [
  epoch | 0,
  Math.floor(epoch / 2 ** 32) | 0,
];
