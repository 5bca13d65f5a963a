import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';

/** Something to be waited for, in both of its forms. */
interface Waiting<T> {
  /** Blocks the thread. */
  readonly now: () => T;
  readonly later: () => Promise<T>;
}

/** Work of several steps, each of which has a form that blocks and one with a promise: written once for both. */
export type Steps<T> = Generator<Waiting<unknown>, T, unknown>;

/** Waits for one thing. */
export function* wait<T>(now: () => T, later: () => Promise<T>): Steps<T> {
  // Whoever drives the steps hands in what this very one has given.
  return (yield { now, later }) as T;
}

/** Waits for an I/O routine. */
export function waitFor<T>(io: StorageIo, routine: () => IoRoutine<T>): Steps<T> {
  return wait(
    () => runSync(io, routine()),
    () => runAsync(io, routine()),
  );
}

/** Does the work on the event loop. */
export async function stepsAsync<T>(steps: Steps<T>): Promise<T> {
  let step = steps.next();
  while (step.done !== true) {
    let given: unknown;
    try {
      given = await step.value.later();
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(given);
  }
  return step.value;
}

/** Does the work in the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
export function stepsSync<T>(steps: Steps<T>): T {
  let step = steps.next();
  while (step.done !== true) {
    let given: unknown;
    try {
      given = step.value.now();
    } catch (error) {
      step = steps.throw(error);
      continue;
    }
    step = steps.next(given);
  }
  return step.value;
}

/** Closes something that is of no use; why it is of none is thrown already, and its own failure is the lesser news. */
export function* closeQuietly(log: { close(): Promise<void>; closeSync(): void }): Steps<void> {
  try {
    yield* wait(
      () => log.closeSync(),
      () => log.close(),
    );
  } catch {
    // It was said above.
  }
}
