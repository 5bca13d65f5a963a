import { setImmediate } from 'node:timers/promises';

/** Records of one turn of the event loop, at most. */
const BURST_RECORDS = 1000;

/** Their bytes, about. */
const BURST_BYTES = 2 ** 20;

/** How many records of a size one burst has. */
const burstOf = (bytes: number): number => Math.max(1, Math.min(BURST_RECORDS, Math.floor(BURST_BYTES / bytes)));

/**
 * Hands out the numbers `first` to `last`, in bursts, and lets the event loop turn in between, as it does in a program that
 * has other things to do. Without that nothing could be written before the memory is full.
 *
 * @param bytes - how long each record is
 * @param take - takes as many of the numbers as there is room for, and returns the first one that was not taken
 * @param ready - waits for room
 */
export async function inBursts(
  first: number,
  last: number,
  bytes: number,
  take: (from: number, to: number) => number | Promise<number>,
  ready: () => Promise<void>,
): Promise<void> {
  const burst = burstOf(bytes);
  for (let next = first; next <= last; ) {
    const to = Math.min(last, next + burst - 1);
    const taken = take(next, to);
    next = typeof taken === 'number' ? taken : await taken;
    if (next <= to) await ready();
    else await setImmediate();
  }
}
