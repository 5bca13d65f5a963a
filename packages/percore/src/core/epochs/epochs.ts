import { WalError } from '@walstack/codec';
import { checkInteger, invalidType, outOfRange } from '@walstack/codec/internal';

/** A cache line, so that writes to neighbouring memory do not slow down threads that only read the epoch. */
const BUFFER_BYTES = 64;

/** The last epoch: the number after it can still be written to an entry. */
export const EPOCH_MAX = Number.MAX_SAFE_INTEGER - 1;

/** @throws `WAL_RANGE` for an epoch after the last one */
export function checkEpochsLeft(epoch: number): void {
  if (epoch <= EPOCH_MAX) return;
  throw new WalError('WAL_RANGE', 'the log has no epochs left: nothing was changed; begin a new log', {
    actual: epoch,
    limit: EPOCH_MAX,
  });
}

/** The index of the 32-bit word that changes with every epoch. */
const LOW_WORD = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1 ? 0 : 1;

/**
 * The current epoch of a per-core log, in memory that all threads share. Only the coordinator advances it; a writer reads
 * it before each entry, which costs two atomic loads.
 */
export class SharedEpochs {
  /** For other threads, which pass it to {@link from}. */
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
    checkInteger('epoch', epoch, 1, EPOCH_MAX);
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

  /** A number that changes with every epoch, and is cheaper to read than {@link current}. It repeats after 2^32 epochs. */
  get mark(): number {
    return Atomics.load(this.#words, LOW_WORD);
  }

  /**
   * Whether the epoch is still the one with these halves, see `halvesOf`. Nearly as cheap as {@link mark}, and exact:
   * it loads the lower half first, and epochs only grow, so an upper half that matches afterwards also matched before.
   */
  isAt(low: number, high: number): boolean {
    const words = this.#words;
    return Atomics.load(words, LOW_WORD) === low && Atomics.load(words, 1 - LOW_WORD) === high;
  }

  /**
   * Begins the next epoch, and returns it. Only one caller may do so.
   *
   * @throws `WAL_RANGE` when no epochs are left
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
