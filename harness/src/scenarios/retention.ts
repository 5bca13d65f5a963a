import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'retention drops what is behind the checkpoint and no hold needs, and nothing else',
  config: { retainBytes: 4096 },
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(8, 700);
      if (log.random() < 0.5) await log.sync();
      if (log.random() < 0.5) await log.hold('reader', log.wal.firstLsn + 1);
      await log.checkpoint(log.someLsn());
      if (log.random() < 0.5) await log.hold('reader');
      if (log.random() < 0.3) await log.open();
    }
  },
};
