import { join } from 'node:path';
import { type IoFile, type IoRoutine, ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import { type Latencies, latenciesOf } from './latencies.js';

/** How a write is made durable. */
export type Method = 'datasync' | 'durable write' | 'durable direct write';

/** What is there where a write goes: nothing, blocks that are reserved, or blocks that were written before. */
export type Preparation = 'none' | 'allocate' | 'write';

/** One way to make a write durable, measured. */
export interface DurableWrite {
  readonly backend: string;
  readonly method: Method;
  readonly preallocate: Preparation;
  /** Whether durable writes of this backend are a write and a datasync on this file system. */
  readonly bySync: boolean;
  readonly latencies: Latencies;
}

const PREPARATIONS: readonly Preparation[] = ['none', 'allocate', 'write'];

/** So many writes at most are measured in a round, as many have room in a prepared file, which has not more than so many bytes. */
const WRITES_MAX = 1000;
const FILE_BYTES_MAX = 8 * 1024 * 1024;

const writesOf = (bytes: number): number => Math.min(WRITES_MAX, Math.floor(FILE_BYTES_MAX / bytes));

/** How it is measured. */
export interface WriteSettings {
  readonly directory: string;
  readonly bytes: number;
  /** For so long each case is measured in each round. */
  readonly roundMs: number;
  readonly signal: AbortSignal;
}

/** One way to make a write durable, measured in several rounds. */
export class DurableWriteCase {
  readonly method: Method;
  readonly preallocate: Preparation;
  readonly #io: StorageIo;
  readonly #durations: number[] = [];
  #bySync = false;

  constructor(io: StorageIo, method: Method, preallocate: Preparation) {
    this.#io = io;
    this.method = method;
    this.preallocate = preallocate;
  }

  /** What was measured; `undefined` where the file system has no direct I/O. */
  get result(): DurableWrite | undefined {
    if (this.#durations.length === 0) return undefined;
    const { method, preallocate } = this;
    const latencies = latenciesOf(this.#durations);
    return { backend: this.#io.name, method, preallocate, bySync: this.#bySync, latencies };
  }

  /** Measures one round, in a file of its own. @throws what the backend throws, and the reason of the signal */
  async round({ directory, bytes, roundMs, signal }: WriteSettings): Promise<void> {
    const io = this.#io;
    const direct = this.method === 'durable direct write';
    const path = join(directory, 'writes');
    const file = io.open(path, { create: true, exclusive: true, direct });
    try {
      if (direct && !file.direct) return;
      const data = io.allocateBuffer(bytes).fill(7);
      await runAsync(io, prepare(io, file, this.preallocate, bytes));
      const before = io.stats().durableBySync;
      const until = performance.now() + roundMs;
      for (let write = 0; write < writesOf(bytes); write++) {
        signal.throwIfAborted();
        const begun = performance.now();
        await runAsync(io, writeDurably(io, file, data, write * bytes, this.method));
        const ended = performance.now();
        this.#durations.push(ended - begun);
        if (ended >= until) break;
      }
      this.#bySync ||= this.method !== 'datasync' && io.stats().durableBySync > before;
    } finally {
      io.close(file);
      await runAsync(io, ioSteps.remove(io, path));
    }
  }
}

/** All ways of a backend to make one write after another durable. */
export function writeCases(io: StorageIo): DurableWriteCase[] {
  const methods: readonly Method[] = io.capabilities.durableWrites
    ? ['datasync', 'durable write', 'durable direct write']
    : ['datasync'];
  return methods.flatMap((method) => PREPARATIONS.map((preparation) => new DurableWriteCase(io, method, preparation)));
}

function* prepare(io: StorageIo, file: IoFile, preallocate: Preparation, bytes: number): IoRoutine<void> {
  const total = writesOf(bytes) * bytes;
  if (preallocate === 'allocate') yield* ioSteps.allocate(io, file, 0, total);
  if (preallocate === 'write') yield* ioSteps.write(io, file, io.allocateBuffer(total), 0);
  // What is measured is not to find the names and sizes of the preparation pending.
  yield* ioSteps.datasync(io, file);
}

function* writeDurably(io: StorageIo, file: IoFile, data: Uint8Array, offset: number, method: Method): IoRoutine<void> {
  yield* ioSteps.write(io, file, data, offset, method === 'datasync' ? {} : { durable: true });
  if (method === 'datasync') yield* ioSteps.datasync(io, file);
}
