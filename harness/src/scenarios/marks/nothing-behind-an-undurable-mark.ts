import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ nothing behind a mark is acknowledged before the mark is durable',
  modes: ['ring', 'ring-4', 'pool'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.append(100);
      await log.sync();
      const marked = log.quiet();
      // Where a failure of the background comes first, the append throws.
      marked.catch(() => {});
      log.append(Math.floor(log.random() * 600));
      const synced = log.startSync();
      await Promise.all([marked, synced]);
    }
  },
};
