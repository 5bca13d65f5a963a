import { callListener } from '../errors/uncaught.js';

/**
 * Which steps of routines are on the stack, one inside another. Calls of functions of the application wait until the
 * outermost step is over: then no routine is in the middle of a step, every state is consistent, and the application
 * may call anything, blocking calls included.
 */

let depth = 0;
/** Routines that are taking a step, the outermost first. */
const executing: unknown[] = [];
/** Calls that wait for the end of the outermost step; those before `called` were made. */
const waiting: (() => void)[] = [];
let called = 0;
/** Calls are being made: those added meanwhile are made after them, not inside them. */
let calling = false;

/** Begins a step: functions passed to `afterStep` wait for its end. To be followed by {@link endStep}. */
export function beginStep(): void {
  depth++;
}

/** Ends the step that {@link beginStep} has begun. */
export function endStep(): void {
  depth--;
  if (depth === 0 && waiting.length > 0) makeCallsInTurn();
}

/** Takes the next step of a routine. */
export function next<Yielded, T>(routine: Generator<Yielded, T, number>, result: number): IteratorResult<Yielded, T> {
  executing.push(routine);
  try {
    return routine.next(result);
  } finally {
    executing.pop();
  }
}

/** Whether a routine is in the middle of a step: it cannot continue before the caller has returned. */
export const isExecuting = (routine: Generator<unknown, unknown, number>): boolean => executing.includes(routine);

/**
 * Calls a function of the application once the outermost step is over and the calls before it have returned; at once
 * when no step is on the stack. What it throws becomes an uncaught exception, since there is no caller to throw it to.
 */
export function afterStep(call: () => void): void {
  waiting.push(call);
  if (depth === 0) makeCallsInTurn();
}

/** A loop, not a recursion: each of thousands of calls may add the next one. */
function makeCallsInTurn(): void {
  if (calling) return;
  calling = true;
  try {
    makeCalls();
  } finally {
    calling = false;
  }
}

/** Makes the waiting calls, also from inside one of them that blocks. @returns how many there were */
export function makeCalls(): number {
  let made = 0;
  while (called < waiting.length) {
    const call = waiting[called++] as () => void;
    if (called === waiting.length) {
      waiting.length = 0;
      called = 0;
    }
    made++;
    callListener(call, undefined);
  }
  return made;
}
