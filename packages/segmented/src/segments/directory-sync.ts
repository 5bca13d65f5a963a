import { type IoRoutine, ioSteps, RoutineQueue } from '@walstack/storage-io';
import type { Environment } from '../environment.js';

/**
 * Makes the names in a log's directory durable, for several routines side by side, one sync after another. A sync that
 * failed may have dropped names of others too, and a later one that succeeds says nothing of them: so after a failure
 * there is no success any more, and the log has failed with it, whatever the failure is for the caller.
 */
export class DirectorySync {
  readonly #environment: Environment;
  readonly #directory: string;
  readonly #failed: (error: unknown) => void;
  readonly #queue: RoutineQueue;
  #failure: { readonly error: unknown } | undefined;

  /** @param failed - told of the first failure */
  constructor(world: Environment, directory: string, failed: (error: unknown) => void) {
    this.#environment = world;
    this.#directory = directory;
    this.#failed = failed;
    this.#queue = new RoutineQueue(world.io);
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
