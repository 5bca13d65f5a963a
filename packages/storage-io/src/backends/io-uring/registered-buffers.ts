import type { Ring } from '@walstack/native';

const RING_CLOSED = 'ERR_WALSTACK_RING_CLOSED';

/** The index under which memory is registered, and which part of its `ArrayBuffer` that is. */
interface Registration {
  readonly index: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Memory that stays registered with a ring until it is garbage-collected. The number of registrations is fixed; memory
 * that gets none is ordinary memory.
 */
export class RegisteredBuffers {
  readonly #ring: Pick<Ring, 'registerBuffer' | 'unregisterBuffer'>;
  readonly #bytesMax: number;
  readonly #free: number[];
  readonly #registrations = new WeakMap<ArrayBufferLike, Registration>();
  readonly #collected = new FinalizationRegistry<number>((index) => this.#unregister(index));
  /** Whether any memory was registered. */
  #anyRegistered = false;
  #closed = false;

  /** @param bytesMax - memory above this is not registered */
  constructor(ring: Pick<Ring, 'registerBuffer' | 'unregisterBuffer'>, count: number, bytesMax: number) {
    this.#ring = ring;
    this.#bytesMax = bytesMax;
    this.#free = Array.from({ length: count }, (_, index) => count - 1 - index);
  }

  /** Registers memory that was just allocated, if an index is free and the kernel allows it. */
  add(memory: Uint8Array): Uint8Array {
    const index = this.#free.at(-1);
    if (index === undefined || memory.length === 0 || memory.length > this.#bytesMax) return memory;
    try {
      this.#ring.registerBuffer(index, memory);
    } catch (error) {
      // ENOMEM: more than may be locked; unregistered memory works too, but more slowly. A failed ring shows in
      // operations.
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'ENOMEM' || code === RING_CLOSED) return memory;
      throw error;
    }
    this.#free.pop();
    this.#anyRegistered = true;
    const { byteOffset: start, length } = memory;
    this.#registrations.set(memory.buffer, { index, start, end: start + length });
    this.#collected.register(memory.buffer, index);
    return memory;
  }

  /** The index under which memory is registered; -1 when it is not. */
  bufferIndex(memory: Uint8Array): number {
    const found = this.#anyRegistered ? this.#registrations.get(memory.buffer) : undefined;
    if (found === undefined) return -1;
    const { byteOffset, length } = memory;
    return byteOffset >= found.start && byteOffset + length <= found.end ? found.index : -1;
  }

  /** The ring is closed, and with it all registrations are gone. */
  close(): void {
    this.#closed = true;
  }

  /** Called by the garbage collector, where an exception could not be caught. */
  #unregister(index: number): void {
    if (this.#closed) return;
    try {
      this.#ring.unregisterBuffer(index);
    } catch {
      // The ring has failed, and all its registrations are gone; or the kernel keeps this one, and its index is not reused.
      return;
    }
    this.#free.push(index);
  }
}
