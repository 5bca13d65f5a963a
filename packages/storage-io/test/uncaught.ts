import process from 'node:process';

/**
 * Does something, and gathers what is an uncaught exception meanwhile.
 *
 * @param work - gets what was gathered so far
 */
export async function gatheringUncaught(work: (uncaught: readonly unknown[]) => Promise<void>): Promise<unknown[]> {
  const uncaught: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => uncaught.push(error));
  try {
    await work(uncaught);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  }
  return uncaught;
}
