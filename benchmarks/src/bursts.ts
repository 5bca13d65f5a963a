import { setImmediate } from 'node:timers/promises';

/** Records of one turn of the event loop. */
const BURST = 1000;

/**
 * Hands out the numbers 1 to `count`, in bursts, and lets the event loop turn in between, as it does in a program that
 * has other things to do. Without that nothing could be written before the memory is full.
 *
 * @param take - takes as many of the numbers as there is room for, and returns the first one that was not taken
 * @param ready - waits for room
 */
export async function inBursts(
  count: number,
  take: (from: number, to: number) => number,
  ready: () => Promise<void>,
): Promise<void> {
  for (let next = 1; next <= count; ) {
    const last = Math.min(count, next + BURST - 1);
    next = take(next, last);
    if (next <= last) await ready();
    else await setImmediate();
  }
}
