import { BACKENDS as EVERYWHERE } from '../../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../../harness/test-kit/manual-time.js';
import type { Environment } from '../../src/environment.js';
import { createSideBySideStorageIo } from './side-by-side.js';

/** Every backend, and one that makes writes durable side by side on every platform. */
export const BACKENDS: typeof EVERYWHERE = [...EVERYWHERE, ['side-by-side', createSideBySideStorageIo]];

/** A deterministic environment: a clock that is set, timers that are fired by hand, random bytes that count. */
export class TestEnvironment extends ManualTime {
  #drawn: number;

  constructor(seed = 1) {
    super();
    this.#drawn = seed * 1_000_003;
  }

  readonly randomBytes = (bytes: number): Uint8Array => {
    this.#drawn = (this.#drawn * 48_271) % 0x7fff_ffff;
    return Uint8Array.from({ length: bytes }, (_, index) => (this.#drawn >>> (index % 24)) + index);
  };

  /** What a log takes of it. */
  override get options(): Omit<Environment, 'io'> {
    return { ...super.options, randomBytes: this.randomBytes };
  }
}
