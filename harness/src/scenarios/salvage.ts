import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: '◆ what salvage hides goes into quarantine and is never removed, whatever crashes in between',
  config: { recoveryMode: 'salvage' },
  async run(log) {
    await log.open();
    log.appendSome(12, 900);
    await log.checkpoint(Math.max(1, log.wal.lastLsn - 2));
    if (log.random() < 0.5) await log.hold('reader', log.wal.lastLsn);
    if (log.wal.listSegments().length < 2) return;
    await log.destroyRecord();
    await log.open();
    if (log.random() < 0.5) log.append(700);
    await log.sync();
    await log.open();
  },
};
