import { setImmediate } from 'node:timers/promises';

/** Lets the event loop turn, so that everything that does not need the disk has run. */
export async function turns(count = 20): Promise<void> {
  for (let turn = 0; turn < count; turn++) await setImmediate();
}
