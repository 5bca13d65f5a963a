import type { IoCondition, IoRoutine } from './routine.js';
import { afterStep } from './steps-under-way.js';

/** Why a routine has to end before it is done, and the callback that receives its progress. */
export interface Watch {
  /** Thrown into the routine where it waits; `undefined` while it may continue. */
  readonly reason: unknown;
  /**
   * Calls `wake` when {@link reason} comes up, so that a condition is no longer waited for.
   *
   * @returns a function that ends the listening
   */
  readonly listen?: ((wake: () => void) => () => void) | undefined;
  /** Whether {@link report} is to be called: at most once in each turn of the event loop. */
  readonly isReportDue?: boolean;
  /** Reports how far it is: a function of the application. What it throws is thrown into the routine. */
  readonly report?: (() => void) | undefined;
}

/**
 * What a function of the application has thrown into a routine. It hides the code of an error, which may come from another log:
 * the routine would take it for a finding of its own, and read on, salvage the log, or skip records.
 */
export class Interruption {
  readonly error: unknown;

  constructor(error: unknown) {
    this.error = error;
  }
}

/**
 * Runs a routine, throws the reason to end into it where it waits, so that it closes the files that it has opened, and
 * reports there how far it is.
 *
 * @throws what the routine throws, and what the callback throws
 */
export function* watched<T>(routine: IoRoutine<T>, watch: Watch): IoRoutine<T> {
  const interruptible = new Interruptible();
  try {
    for (let step = routine.next(0); ; ) {
      if (step.done === true) return step.value;
      let result = 0;
      let failure: { readonly error: unknown } | undefined;
      try {
        result = yield typeof step.value === 'function' ? untilEnded(step.value, watch) : step.value;
        failure = endOf(watch);
        if (failure === undefined && watch.isReportDue === true && watch.report !== undefined) {
          yield* interruptible.call(watch.report);
          failure = endOf(watch);
        }
      } catch (error) {
        // Thrown by the callback, or by a watch around this one: the routine closes its files all the same.
        failure = { error };
      }
      step = failure === undefined ? routine.next(result) : routine.throw(failure.error);
    }
  } catch (error) {
    throw interruptible.thrown(error);
  }
}

/** A routine that calls functions of the application, and ends with what one of them throws, whatever that is. */
export class Interruptible {
  #interruption: Interruption | undefined;

  /** Runs the routine. @throws what the routine throws, and what a function has thrown in {@link call} */
  *run<T>(routine: IoRoutine<T>): IoRoutine<T> {
    try {
      return yield* routine;
    } catch (error) {
      throw this.thrown(error);
    }
  }

  /** What the routine is to throw for an error that has ended it. An interruption of a routine around this one is for that one. */
  thrown(error: unknown): unknown {
    return error instanceof Interruption && error === this.#interruption ? error.error : error;
  }

  /** Calls a function of the application from inside the routine. @throws an {@link Interruption} with what it throws */
  *call(call: () => void): IoRoutine<void> {
    try {
      yield* calledBetweenSteps(call);
    } catch (error) {
      throw this.#interrupted(error);
    }
  }

  /** Calls a function of the application inside a step, for what it returns. @throws like {@link call} */
  called<T>(call: () => T): T {
    try {
      return call();
    } catch (error) {
      throw this.#interrupted(error);
    }
  }

  #interrupted(error: unknown): Interruption {
    if (error instanceof Interruption) return error;
    this.#interruption = new Interruption(error);
    return this.#interruption;
  }
}

function endOf({ reason }: Watch): { readonly error: unknown } | undefined {
  return reason === undefined ? undefined : { error: reason };
}

/** A condition that is also met when the routine has to end. */
function untilEnded(condition: IoCondition, { listen }: Watch): IoCondition {
  if (listen === undefined) return condition;
  return (resume) => {
    let isOver = false;
    const once = (): void => {
      if (isOver) return;
      isOver = true;
      stop();
      resume();
    };
    // Not inside the call that aborts a signal, which may come from the application or a step of another routine.
    const stop = listen(() => queueMicrotask(once));
    condition(once);
  };
}

/**
 * Calls a function of the application where no routine is in the middle of a step, so that it may call anything.
 *
 * @throws what it throws
 */
export function* calledBetweenSteps(call: () => void): IoRoutine<void> {
  let failure: { readonly error: unknown } | undefined;
  yield (resume) =>
    afterStep(() => {
      try {
        call();
      } catch (error) {
        failure = { error };
      }
      resume();
    });
  if (failure !== undefined) throw (failure as { readonly error: unknown }).error;
}
