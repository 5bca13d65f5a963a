import { join } from 'node:path';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';
import type { Environment } from '../../src/environment.js';
import { createSideBySideStorageIo } from './side-by-side.js';

/** Every backend, each with a directory of its own. */
export const BACKENDS: readonly (readonly [string, () => StorageIo])[] = [
  ['sync-fs', createSyncFsStorageIo],
  ['thread-pool', createThreadPoolStorageIo],
  ['side-by-side', createSideBySideStorageIo],
  ['memory', createMemoryStorageIo],
  ...(ringSupport().available ? ([['io-uring', createIoUringStorageIo]] as const) : []),
];

/** A directory for a log on a backend. */
export function directoryFor(io: StorageIo): string {
  return io.name === 'memory' ? '/logs/log' : join(temporaryDirectory(), 'log');
}

/** A deterministic environment: a clock that is set, timers that are fired by hand, random bytes that count. */
export class TestEnvironment implements Omit<Environment, 'io'> {
  time = 1_700_000_000_000;
  #drawn: number;
  readonly #timers = new Set<{ callback: () => void; delayMs: number }>();

  constructor(seed = 1) {
    this.#drawn = seed * 1_000_003;
  }

  readonly now = (): number => this.time;

  readonly setTimer = (callback: () => void, delayMs: number): (() => void) => {
    const timer = { callback, delayMs };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  readonly randomBytes = (bytes: number): Uint8Array => {
    this.#drawn = (this.#drawn * 48_271) % 0x7fff_ffff;
    return Uint8Array.from({ length: bytes }, (_, index) => (this.#drawn >>> (index % 24)) + index);
  };

  /** What a log takes of it. */
  get options(): Omit<Environment, 'io'> {
    return { now: this.now, setTimer: this.setTimer, randomBytes: this.randomBytes };
  }

  /** Timers that wait, by their delay in milliseconds. */
  get timers(): number[] {
    return [...this.#timers].map((timer) => timer.delayMs);
  }

  /** Fires all timers that wait now. */
  fire(): void {
    for (const timer of [...this.#timers]) {
      this.#timers.delete(timer);
      timer.callback();
    }
  }
}
