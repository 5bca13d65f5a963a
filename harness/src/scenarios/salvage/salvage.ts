import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ what salvage hides goes into quarantine and is never removed, whatever crashes in between',
  config: { recoveryMode: 'salvage' },
  async run(log) {
    await log.open();
    while (log.wal.listSegments().length < 3) {
      log.appendSome(4, 900);
      await log.sync();
    }
    await log.checkpoint(Math.max(1, log.wal.lastLsn - 2));
    if (log.random() < 0.5) await log.hold('reader', log.wal.lastLsn);
    await log.destroyRecord();
    await log.open();
    if (log.random() < 0.5) log.append(700);
    await log.sync();
    await log.open();
  },
};
