import { setTimeout as sleep } from 'node:timers/promises';
import type { Random } from '../../random.js';
import type { Transcript, Victim } from './victim.js';

/** Nothing that works takes this long, on however busy a machine. */
export const HANGS_AFTER_MS = 60_000;

/**
 * Waits until the moment has come at which a run ends: many end while they open the log, the others after some reports
 * or some time.
 *
 * @returns whether it came; `false` when the run hangs
 */
export async function moment(random: Random, { tellsAtOnce, transcript }: Victim): Promise<boolean> {
  if (!tellsAtOnce) {
    await sleep(random.integer(0, 200));
    return true;
  }
  const kind = random.next();
  if (kind < 0.3) {
    await sleep(random.integer(0, 25));
    return true;
  }
  if (kind < 0.85) {
    const hangs = await reports(transcript, random.magnitude(300));
    if (random.chance(0.5)) await sleep(random.integer(0, 3));
    return !hangs;
  }
  const hangs = await reports(transcript, 1);
  await sleep(random.integer(0, 80));
  return !hangs;
}

/** Waits for so many reports. @returns whether they did not come */
export async function reports(transcript: Transcript, count: number): Promise<boolean> {
  const giveUp = new AbortController();
  const late = sleep(HANGS_AFTER_MS, true, { signal: giveUp.signal }).catch(() => true);
  const hangs = await Promise.race([transcript.reach(count).then(() => false), late]);
  giveUp.abort();
  return hangs;
}
