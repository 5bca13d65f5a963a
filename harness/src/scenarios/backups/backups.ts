import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    'a backup is the log as it was at one moment, over every crash that one or the one before, and nothing changes it',
  weight: 4,
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      log.appendSome(6, 700);
      if (log.random() < 0.5) await log.checkpoint(log.wal.lastLsn);
      const backup = log.backup();
      backup.catch(() => {});
      // Beside it, where it takes its time.
      log.appendSome(3, 700);
      await log.sync();
      if (log.random() < 0.5) await log.truncate(log.random());
      await backup;
      const what = log.random();
      if (what < 0.3) await log.truncate(1);
      else if (what < 0.5) await log.truncateAfter(log.someLsn());
      else if (what < 0.6) await log.resetTo(log.wal.nextLsn + 2);
      else if (what < 0.8) await log.open();
      // Over several segments, so that files that were freed are used again.
      for (let record = 0; record < 3; record++) {
        log.append(900);
        await log.sync();
      }
      await log.checkBackup();
      await log.check();
    }
  },
};
