import type { Ring } from '@walstack/native';

const RING_CLOSED = 'ERR_WALSTACK_RING_CLOSED';

/** Where memory is registered, and which part of its `ArrayBuffer` that is. */
interface Place {
  readonly place: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Memory that is registered with a ring as long as it lives. There are so many places for it; what gets none is memory
 * like any other.
 */
export class RegisteredBuffers {
  readonly #ring: Pick<Ring, 'registerBuffer' | 'unregisterBuffer'>;
  readonly #bytesMax: number;
  readonly #free: number[];
  readonly #places = new WeakMap<ArrayBufferLike, Place>();
  readonly #collected = new FinalizationRegistry<number>((place) => this.#empty(place));
  /** Whether any memory was registered. */
  #anywhere = false;
  #closed = false;

  /** @param bytesMax - memory above this is not registered */
  constructor(ring: Pick<Ring, 'registerBuffer' | 'unregisterBuffer'>, places: number, bytesMax: number) {
    this.#ring = ring;
    this.#bytesMax = bytesMax;
    this.#free = Array.from({ length: places }, (_, index) => places - 1 - index);
  }

  /** Registers memory that was just allocated, if there is a place and the kernel lets it. */
  add(memory: Uint8Array): Uint8Array {
    const place = this.#free.at(-1);
    if (place === undefined || memory.length === 0 || memory.length > this.#bytesMax) return memory;
    try {
      this.#ring.registerBuffer(place, memory);
    } catch (error) {
      // More than may be locked: it works without, only more slowly. Of a ring that has failed its operations tell.
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOMEM' || code === RING_CLOSED) return memory;
      throw error;
    }
    this.#free.pop();
    this.#anywhere = true;
    const { byteOffset: start, length } = memory;
    this.#places.set(memory.buffer, { place, start, end: start + length });
    this.#collected.register(memory.buffer, place);
    return memory;
  }

  /** Where memory is registered; -1 when it is not. */
  bufferIndex(memory: Uint8Array): number {
    const found = this.#anywhere ? this.#places.get(memory.buffer) : undefined;
    if (found === undefined) return -1;
    const { byteOffset, length } = memory;
    return byteOffset >= found.start && byteOffset + length <= found.end ? found.place : -1;
  }

  /** The ring is gone, and with it every place. */
  close(): void {
    this.#closed = true;
  }

  /** Called by the collector, behind which nothing can be caught. */
  #empty(place: number): void {
    if (this.#closed) return;
    try {
      this.#ring.unregisterBuffer(place);
    } catch {
      // The ring has failed, and all its places are gone; or the kernel keeps this one, and nothing gets into it any more.
      return;
    }
    this.#free.push(place);
  }
}
