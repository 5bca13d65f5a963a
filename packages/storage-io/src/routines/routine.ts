import { WalError } from '@walstack/codec';
import { withCallers } from '../errors/callers.js';
import type { IoToken, StorageIo } from '../storage-io.js';
import { CompletionRouter } from './completion-router.js';
import { beginStep, endStep, makeCalls, next } from './steps-under-way.js';

/** Yielded in place of a token: continue when a full queue has space again. */
export const QUEUE_SPACE: unique symbol = Symbol('queue space');

/** Yielded in place of a token: continue in a later turn of the event loop, or at once in a call that blocks the thread. */
export const TURN: unique symbol = Symbol('turn of the event loop');

/** Another condition to wait for: it calls `resume` once, later, when the routine is to check again. */
export type IoCondition = (resume: () => void) => void;

/** What a routine yields: the token of a submission that it waits for, `QUEUE_SPACE`, `TURN`, or a condition. */
export type IoStep = IoToken | typeof QUEUE_SPACE | typeof TURN | IoCondition;

/**
 * Work of several I/O steps, written once and driven in two ways. It yields the token of each submission and receives
 * its result: bytes, 0, or a negative error number.
 */
export type IoRoutine<T> = Generator<IoStep, T, number>;

/** How a routine has ended: with a value, or by throwing. */
export type Outcome<T> = { readonly value: T } | { readonly error: unknown };

/** Called with the outcome of a routine. */
export type Ended<T> = (outcome: Outcome<T>) => void;

/** The value of a routine that has ended. Throws what the routine threw. */
export function outcomeValue<T>(outcome: Outcome<T>): T {
  if ('error' in outcome) throw outcome.error;
  return outcome.value;
}

/**
 * Runs a routine from completion to completion. It starts at once; `ended` may be called before this returns, and is
 * part of the routine's last step: functions of the application are called from it through `afterStep`. Steps are
 * taken while the router hands out completions, so that a call that blocks in {@link CompletionRouter.wait} drives
 * other routines as well.
 */
export function drive<T>(router: CompletionRouter, routine: IoRoutine<T>, ended: Ended<T>): void {
  const step = (result: number): void => {
    beginStep();
    try {
      take(result);
    } finally {
      endStep();
    }
  };
  const take = (result: number): void => {
    let taken: IteratorResult<IoStep, T>;
    try {
      taken = next(routine, result);
    } catch (error) {
      ended({ error });
      return;
    }
    if (taken.done === true) ended({ value: taken.value });
    else if (taken.value === QUEUE_SPACE) router.onQueueSpace(() => step(0));
    else if (taken.value === TURN) router.onTurn(() => step(0));
    else if (typeof taken.value === 'function') taken.value(() => step(0));
    else router.expect(taken.value, step);
  };
  step(0);
}

/** Runs a routine on the event loop. Rejects with what the routine throws. */
export function runAsync<T>(io: StorageIo, routine: IoRoutine<T>): Promise<T> {
  const ended = new Promise<T>((resolve, reject) => {
    drive(CompletionRouter.for(io), routine, (outcome) => {
      if ('error' in outcome) reject(outcome.error);
      else resolve(outcome.value);
    });
  });
  return withCallers(ended);
}

/**
 * Runs a routine to its end in the calling thread, blocking it. Throws what the routine throws.
 *
 * @throws `WAL_UNSUPPORTED` before the first step on a backend that cannot wait
 */
export function runSync<T>(io: StorageIo, routine: IoRoutine<T>): T {
  requireWait(io);
  const router = CompletionRouter.for(io);
  const ended: { outcome?: Outcome<T> } = {};
  drive(router, routine, (outcome) => {
    ended.outcome = outcome;
  });
  while (ended.outcome === undefined) waitForProgress(router);
  return outcomeValue(ended.outcome);
}

/** @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
export function requireWait(io: StorageIo): void {
  if (io.capabilities.canWait) return;
  throw new WalError(
    'WAL_UNSUPPORTED',
    `the ${io.name} backend cannot block its thread: use the promise form of this call, or a backend that can wait`,
    { operation: 'wait' },
  );
}

/** Blocks until something has completed. With nothing to wait for, a routine could never end, which is a defect. */
export function waitForProgress(router: CompletionRouter): void {
  if (router.wait() > 0) return;
  // This may be a blocking call inside a function of the application, waiting for a call that is queued after it.
  if (makeCalls() === 0) {
    throw new WalError('WAL_STATE', 'a routine waits for I/O that was never submitted', { operation: 'wait' });
  }
}
