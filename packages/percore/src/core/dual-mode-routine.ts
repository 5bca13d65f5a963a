/*
 * Routines whose steps are whole calls of a log, such as `SegmentedWal.open` and `openSync`. The driver of I/O routines in
 * `@walstack/storage-io` cannot run them, for two reasons. It resumes a routine with completions of one backend, while these
 * routines begin before there is a backend: opening a log by the name of a backend makes one. And it counts a step as under
 * way until that returns, and defers functions of the application until then: a blocking call of a log inside such a step
 * would wait with these functions deferred, as if the application had called it from the middle of an operation.
 */
import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';

/** One step of a routine: an operation that has a blocking form and one with a promise. */
interface DualModeStep<T> {
  /** Does it in this thread and returns the result. */
  readonly blocking: () => T;
  readonly promised: () => Promise<T>;
}

/** Work of several steps, written once, and run either blocking the thread or on the event loop. */
export type DualModeRoutine<T> = Generator<DualModeStep<unknown>, T, unknown>;

/** Runs one step and returns its result. */
export function* wait<T>(blocking: () => T, promised: () => Promise<T>): DualModeRoutine<T> {
  // The driver resumes the routine with the result of this very step.
  return (yield { blocking, promised }) as T;
}

/** Runs an I/O routine as one step. */
export function waitForIo<T>(io: StorageIo, routine: () => IoRoutine<T>): DualModeRoutine<T> {
  return wait(
    () => runSync(io, routine()),
    () => runAsync(io, routine()),
  );
}

/** Runs a routine on the event loop. */
export async function runDualModeAsync<T>(routine: DualModeRoutine<T>): Promise<T> {
  let step = routine.next();
  while (step.done !== true) {
    let result: unknown;
    try {
      result = await step.value.promised();
    } catch (error) {
      step = routine.throw(error);
      continue;
    }
    step = routine.next(result);
  }
  return step.value;
}

/** Runs a routine, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
export function runDualModeSync<T>(routine: DualModeRoutine<T>): T {
  let step = routine.next();
  while (step.done !== true) {
    let result: unknown;
    try {
      result = step.value.blocking();
    } catch (error) {
      step = routine.throw(error);
      continue;
    }
    step = routine.next(result);
  }
  return step.value;
}

/** Closes a log after a failure. If closing fails too, the first error is kept, which the caller throws. */
export function* closeQuietly(log: { close(): Promise<void>; closeSync(): void }): DualModeRoutine<void> {
  try {
    yield* wait(
      () => log.closeSync(),
      () => log.close(),
    );
  } catch {
    // The caller throws the error that came first.
  }
}
