import { throwUncaught } from '../errors/uncaught.js';

/**
 * Which steps are being taken, one inside another. What an application is called with waits until the outermost one is
 * over: then no routine is in the middle of a step, every state is whole, and the application may call anything, calls
 * that block included.
 */

let depth = 0;
/** Routines that are taking a step, the outermost first. */
const executing: unknown[] = [];
/** Calls that wait for the end of the outermost step; those before `called` were made. */
const waiting: (() => void)[] = [];
let called = 0;
/** Calls are being made: those that come meanwhile are made behind them, and not one inside another. */
let calling = false;

/** Begins something that is one step for functions called afterwards. To be followed by {@link endStep}. */
export function beginStep(): void {
  depth++;
}

/** Ends what {@link beginStep} has begun. */
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

/** Whether a routine is in the middle of a step: it cannot go on before the caller has returned. */
export const isExecuting = (routine: Generator<unknown, unknown, number>): boolean => executing.includes(routine);

/**
 * Calls a function of the application when the outermost step is over and the calls before it have returned, at once when
 * there is nothing of that. What it throws is
 * an uncaught exception, since there is no caller to throw it to.
 */
export function afterStep(call: () => void): void {
  waiting.push(call);
  if (depth === 0) makeCallsInTurn();
}

/** A loop, not a recursion: each of thousands of calls may have the next one made. */
function makeCallsInTurn(): void {
  if (calling) return;
  calling = true;
  try {
    makeCalls();
  } finally {
    calling = false;
  }
}

/** Makes the calls that wait, also inside one of them that blocks. @returns how many there were */
export function makeCalls(): number {
  let made = 0;
  while (called < waiting.length) {
    const call = waiting[called++] as () => void;
    if (called === waiting.length) {
      waiting.length = 0;
      called = 0;
    }
    made++;
    try {
      call();
    } catch (error) {
      throwUncaught(error);
    }
  }
  return made;
}
