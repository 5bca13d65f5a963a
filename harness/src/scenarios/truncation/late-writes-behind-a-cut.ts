import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ writes of a killed process that land late are not taken for records of the same LSNs that came after a cut',
  modes: ['ring', 'pool'],
  async run(log) {
    for (let run = 0; run < 5; run++) {
      await log.open();
      for (let record = 0; record < 3; record++) log.append(400);
      await log.sync();
      // In the same place as what will land late, and with the same LSNs.
      await log.truncateAfter(log.wal.firstLsn - 1);
      for (let record = 0; record < 4; record++) log.append(400);
      void log.startSync();
      for (let turn = Math.floor(log.random() * 3); turn > 0; turn--) await new Promise(setImmediate);
      log.kill();
      await log.open();
      for (let turn = Math.floor(log.random() * 4); turn > 0; turn--) await new Promise(setImmediate);
    }
    await log.open();
  },
};
