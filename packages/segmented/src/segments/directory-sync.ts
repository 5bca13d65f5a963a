import type { WalError } from '@walstack/codec';
import { type IoRoutine, ioSteps } from '@walstack/storage-io';
import { RoutineQueue } from '@walstack/storage-io/internal';
import type { Environment } from '../environment.js';

/**
 * Syncs a log's directory for concurrent routines, one sync after another. A failed sync may have dropped changes of
 * other routines too, and a later successful sync does not prove them durable: so after one failure every call fails, and
 * the failure is final for the log, even if the caller could otherwise continue.
 */
export class DirectorySync {
  readonly #environment: Environment;
  readonly #directory: string;
  readonly #fail: (error: unknown) => WalError;
  readonly #queue: RoutineQueue;
  #failure: WalError | undefined;

  /** @param fail - records the first failure as the final one of the log, and returns what to throw */
  constructor(environment: Environment, directory: string, fail: (error: unknown) => WalError) {
    this.#environment = environment;
    this.#directory = directory;
    this.#fail = fail;
    this.#queue = new RoutineQueue(environment.io);
  }

  /** Durable on return. @throws the first failure, with which the log has failed */
  *sync(): IoRoutine<void> {
    yield* this.#queue.join(() => this.#sync());
  }

  *#sync(): IoRoutine<void> {
    if (this.#failure !== undefined) throw this.#failure;
    try {
      yield* ioSteps.syncDirectory(this.#environment.io, this.#directory);
    } catch (error) {
      this.#failure = this.#fail(error);
      throw this.#failure;
    }
  }
}
