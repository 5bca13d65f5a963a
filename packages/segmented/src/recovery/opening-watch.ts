import {
  CallWatch,
  type Link,
  type LongCallOptions,
  type ProgressPhase,
  ReadProgress,
  sizesOf,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { Interruptible, watched } from '@walstack/storage-io/internal';
import type { Environment } from '../environment.js';

/** The message of the error when a signal has ended an opening. */
const ABORTED = 'opening the log was aborted: nothing was changed';

/** What the opening of a log gets: the environment of the log, and what watches the opening. */
export interface OpeningEnvironment extends Environment {
  readonly watch: OpeningWatch;
}

/**
 * Watches the opening of a log as long as it only reads: its signal ends it, and its progress is reported. What changes the
 * log is done to its end.
 */
export class OpeningWatch {
  readonly progress = new ReadProgress('verify');
  readonly #call: CallWatch | undefined;
  readonly #interruptible = new Interruptible();

  constructor(options: LongCallOptions) {
    this.#call = CallWatch.for(options, ABORTED, () => this.progress.value);
  }

  /** @throws `WAL_ABORTED` when the signal is aborted */
  throwIfAborted(): void {
    this.#call?.throwIfEnded();
  }

  /** Runs the routine that opens the log. */
  run<T>(opening: IoRoutine<T>): IoRoutine<T> {
    return this.#call === undefined ? opening : this.#interruptible.run(watched(opening, this.#call));
  }

  /** A pass through segments begins. */
  *beginPass(phase: ProgressPhase, io: StorageIo, links: readonly Link[]): IoRoutine<void> {
    if (this.#call?.isReported !== true) return;
    this.progress.begin(phase, yield* sizesOf(io, links), links[0]?.header.firstLsn ?? 0);
  }

  /** Runs a routine that changes the directory: neither a signal nor a callback ends it. */
  *undisturbed<T>(routine: IoRoutine<T>): IoRoutine<T> {
    this.#call?.hold(true);
    try {
      return yield* routine;
    } finally {
      this.#call?.hold(false);
    }
  }

  /** Everything was read that is needed to decide: from now on the log may be changed. @throws what ends the opening */
  *end(): IoRoutine<void> {
    const call = this.#call;
    if (call === undefined) return;
    if (call.isReported) yield* this.#interruptible.call(call.finish);
    call.throwIfEnded();
    call.end();
  }
}
