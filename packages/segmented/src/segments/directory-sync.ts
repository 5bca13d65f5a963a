import { type IoRoutine, ioSteps, RoutineQueue } from '@walstack/storage-io';
import type { Environment } from '../environment.js';

/**
 * Syncs a log's directory for concurrent routines, one sync after another. A failed sync may have dropped changes of
 * other routines too, and a later successful sync does not prove them durable: so after one failure every call fails, and
 * the failure is final for the log, even if the caller could otherwise continue.
 */
export class DirectorySync {
  readonly #environment: Environment;
  readonly #directory: string;
  readonly #failed: (error: unknown) => void;
  readonly #queue: RoutineQueue;
  #failure: { readonly error: unknown } | undefined;

  /** @param failed - called with the first failure */
  constructor(environment: Environment, directory: string, failed: (error: unknown) => void) {
    this.#environment = environment;
    this.#directory = directory;
    this.#failed = failed;
    this.#queue = new RoutineQueue(environment.io);
  }

  /** Durable on return. @throws the first failure */
  *sync(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#sync());
  }

  *#sync(): IoRoutine<void> {
    if (this.#failure !== undefined) throw this.#failure.error;
    try {
      yield* ioSteps.syncDirectory(this.#environment.io, this.#directory);
    } catch (error) {
      this.#failure = { error };
      this.#failed(error);
      throw error;
    }
  }
}
