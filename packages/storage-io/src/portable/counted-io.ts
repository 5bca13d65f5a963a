import * as ioSteps from '../routines/io-operations.js';
import { type IoRoutine, QUEUE_SPACE } from '../routines/routine.js';
import type { IoFile, StorageIo, WriteOptions } from '../storage-io.js';

/** Counts of the operations that one user of a backend has submitted. */
export interface IoCounts {
  /** Operations submitted. */
  readonly submitted: number;
  /** Operations that have completed, whether they failed or not. */
  readonly completed: number;
  readonly bytesWritten: number;
  readonly bytesRead: number;
  /** How many times an operation had to wait because the backend's queue was full. */
  readonly overflows: number;
}

/** I/O steps of one user of a backend, which may be shared with others, and their counts. */
export class CountedIo {
  readonly io: StorageIo;
  #submitted = 0;
  #completed = 0;
  #bytesWritten = 0;
  #bytesRead = 0;
  #overflows = 0;

  constructor(io: StorageIo) {
    this.io = io;
  }

  get counts(): IoCounts {
    return {
      submitted: this.#submitted,
      completed: this.#completed,
      bytesWritten: this.#bytesWritten,
      bytesRead: this.#bytesRead,
      overflows: this.#overflows,
    };
  }

  *write(file: IoFile, data: Uint8Array, offset: number, options?: WriteOptions): IoRoutine<void> {
    yield* this.#counted(ioSteps.write(this.io, file, data, offset, options));
    this.#bytesWritten += data.length;
  }

  *read(file: IoFile, into: Uint8Array, offset: number): IoRoutine<number> {
    const count = yield* this.#counted(ioSteps.read(this.io, file, into, offset));
    this.#bytesRead += count;
    return count;
  }

  *datasync(file: IoFile): IoRoutine<void> {
    yield* this.#counted(ioSteps.datasync(this.io, file));
  }

  *truncate(file: IoFile, bytes: number): IoRoutine<void> {
    yield* this.#counted(ioSteps.truncate(this.io, file, bytes));
  }

  *syncDirectory(path: string): IoRoutine<void> {
    yield* this.#counted(ioSteps.syncDirectory(this.io, path));
  }

  /** Counts the steps that a routine takes. */
  *#counted<T>(routine: IoRoutine<T>): IoRoutine<T> {
    for (let step = routine.next(0); ; ) {
      if (step.done === true) return step.value;
      if (typeof step.value !== 'number') {
        if (step.value === QUEUE_SPACE) this.#overflows++;
        step = routine.next(yield step.value);
        continue;
      }
      this.#submitted++;
      const result = yield step.value;
      this.#completed++;
      step = routine.next(result);
    }
  }
}
