import { setTurnClock } from '@walstack/storage-io/internal';
import { onTestFinished } from 'vitest';

/**
 * From now on, until the test ends, so much time passes between two looks at the clock by which work finds out whether the
 * event loop has to get its turn, and none otherwise: 5 ms are enough for a turn. With 0, no turn is ever due.
 */
export function turnsByLooks(msPerLook: number): void {
  let now = 0;
  setTurnClock(() => {
    now += msPerLook;
    return now;
  });
  onTestFinished(() => setTurnClock());
}

/** How work looked at that clock. */
export interface Looks {
  /** All looks. */
  readonly looks: number;
  /** The most in one turn of the event loop. */
  readonly most: number;
}

/**
 * How often work looks at the clock while a turn is due at every second look: with each look in a turn of its own, or two,
 * it gives all turns that are due.
 */
export async function looksDuring(work: () => Promise<unknown>): Promise<Looks> {
  let looks = 0;
  let before = 0;
  let most = 0;
  setTurnClock(() => 5 * ++looks);
  onTestFinished(() => setTurnClock());
  let next = setImmediate(count);
  function count(): void {
    most = Math.max(most, looks - before);
    before = looks;
    next = setImmediate(count);
  }
  try {
    await work();
    return { looks, most: Math.max(most, looks - before) };
  } finally {
    clearImmediate(next);
  }
}

/** How many turns the event loop had while something was done, and the result. */
export async function turnsDuring<T>(work: () => Promise<T>): Promise<{ readonly turns: number; readonly result: T }> {
  let turns = 0;
  let next = setImmediate(count);
  function count(): void {
    turns++;
    next = setImmediate(count);
  }
  try {
    const result = await work();
    return { turns, result };
  } finally {
    clearImmediate(next);
  }
}

/** A signal that is aborted in the n-th turn of the event loop from now on: as a timer would abort it. */
export function abortedInTurn(count: number, reason: unknown = new Error('enough')): AbortSignal {
  const controller = new AbortController();
  let left = count;
  const turn = (): void => {
    if (--left > 0) setImmediate(turn);
    else controller.abort(reason);
  };
  setImmediate(turn);
  return controller.signal;
}
