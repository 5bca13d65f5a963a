import { join } from 'node:path';
import type { LongCallOptions, ProgressPhase, WalProgress } from '@walstack/mmap-reader';
import { CallWatch, listFiles, sizesOf, watchOf } from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { Interruption, watched } from '@walstack/storage-io/internal';
import { coreDirectory } from '../core/core-directory.js';
import type { DualModeRoutine } from '../core/dual-mode-routine.js';
import type { EntryReader } from '../core/entries/entry-reader.js';

/** The message of the error when a signal has ended an opening. */
const ABORTED = 'opening the per-core log was aborted: open it again';

/**
 * Watches the recovery of the logs of cores, each of which is read twice: to verify it, and to replay its state. A signal ends
 * it between two pieces of that; the progress is that of all logs.
 */
export class RecoveryWatch {
  readonly #options: LongCallOptions;
  readonly #call: CallWatch | undefined;
  #phase: ProgressPhase = 'verify';
  /** The bytes of the log of each core. */
  readonly #sizes = new Map<number, number>();
  /** Bytes and records of what was read, and of what is being read. */
  #passed = 0;
  #here = 0;
  #records = 0;
  #recordsHere = 0;

  constructor(options: LongCallOptions) {
    this.#options = options;
    this.#call = CallWatch.for(options, ABORTED, () => this.#progress);
  }

  /** @throws `WAL_ABORTED` when the signal is aborted */
  throwIfAborted(): void {
    this.#call?.throwIfEnded();
  }

  /** Runs the routine that recovers the logs. @throws what it throws, and what the callback throws */
  *run<T>(recovering: DualModeRoutine<T>): DualModeRoutine<T> {
    try {
      return yield* recovering;
    } catch (error) {
      throw error instanceof Interruption ? error.error : error;
    }
  }

  /** The logs of these cores will be read. */
  *begin(io: StorageIo, directory: string, coreIds: readonly number[]): IoRoutine<void> {
    if (this.#call?.isReported !== true) return;
    for (const coreId of coreIds) this.#sizes.set(coreId, yield* sizeOf(io, coreDirectory(directory, coreId)));
  }

  /** The options with which the log of a core is opened. */
  opening(coreId: number): LongCallOptions {
    const { signal } = this.#options;
    const call = this.#call;
    if (call === undefined || call.isOver) return {};
    const onProgress = ({ bytes, totalBytes, records }: WalProgress): void => {
      if (!this.#sizes.has(coreId)) this.#sizes.set(coreId, totalBytes);
      this.#at(coreId, bytes, records);
      // Its end is reported with the progress of the other logs.
      if (bytes < totalBytes) this.#report(call);
    };
    return {
      ...(signal === undefined ? {} : { signal }),
      ...(call.isReported ? { onProgress } : {}),
    };
  }

  /** The log of a core was opened, or replayed. */
  pass(coreId: number): void {
    this.#passed += this.#sizes.get(coreId) ?? 0;
    this.#records += this.#recordsHere;
    this.#here = 0;
    this.#recordsHere = 0;
  }

  /** Replays the log of a core by a routine that reads from `reader`. */
  replaying<T>(routine: IoRoutine<T>, reader: EntryReader): IoRoutine<T> {
    const call = this.#call;
    if (call === undefined) return routine;
    this.#phase = 'replay';
    const report = (): void => {
      const { bytes, records } = reader.progress;
      this.#at(reader.coreId, bytes, records);
      this.#report(call);
    };
    return watched(routine, watchOf(call, { report }));
  }

  /** Everything was read. Neither is the signal seen from now on, nor is anything reported. @throws what ends the opening */
  finish(): void {
    this.#call?.finish();
    this.#call?.throwIfEnded();
    this.end();
  }

  /** What follows is done to its end: the logs are changed. */
  end(): void {
    this.#call?.end();
  }

  /** @throws an `Interruption` with what the callback throws: a salvage would take that for damage of the log of a core */
  #report(call: CallWatch): void {
    try {
      call.report();
    } catch (error) {
      throw new Interruption(error);
    }
  }

  #at(coreId: number, bytes: number, records: number): void {
    this.#here = Math.max(this.#here, Math.min(bytes, this.#sizes.get(coreId) ?? 0));
    this.#recordsHere = Math.max(this.#recordsHere, records);
  }

  get #progress(): WalProgress {
    let totalBytes = 0;
    for (const size of this.#sizes.values()) totalBytes += 2 * size;
    const bytes = Math.min(this.#passed + this.#here, totalBytes);
    return { phase: this.#phase, bytes, totalBytes, records: this.#records + this.#recordsHere };
  }
}

/** The bytes of the segments in a directory. */
function* sizeOf(io: StorageIo, directory: string): IoRoutine<number> {
  const files = listFiles(io, directory).segments.map(({ name }) => ({ path: join(directory, name) }));
  return (yield* sizesOf(io, files)).reduce((sum, size) => sum + size, 0);
}
