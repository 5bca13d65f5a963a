import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    '◆ salvage around damage keeps everything else under its LSN, and what it replaces in quarantine, whatever crashes in between',
  config: { recoveryMode: 'skip-corrupt', segmentBytes: 2048 },
  async run(log) {
    await log.open();
    while (log.wal.listSegments().length < 3) {
      if (log.random() < 0.4) log.appendSomeBatch(3, 400);
      else log.appendSome(3, 700);
      await log.sync();
    }
    if (log.random() < 0.5) await log.checkpoint(Math.max(1, log.wal.lastLsn - 2));
    if (log.random() < 0.5) await log.hold('reader', log.wal.lastLsn);
    for (let times = 0; times < 2; times++) {
      // The group behind them proves that these had been durable.
      const { lastLsn } = log.wal;
      log.append(300);
      await log.sync();
      await log.destroyInside(lastLsn);
      await log.open();
    }
    if (log.random() < 0.5) log.append(700);
    await log.sync();
    await log.open({ recoveryMode: 'strict' });
  },
};
