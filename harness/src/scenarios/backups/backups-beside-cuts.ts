import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a backup beside which the end of the log is cut off is the log as it was before, or as it is behind the cut',
  weight: 2,
  modes: ['ring', 'ring-4', 'pool'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      for (let record = 0; record < 5; record++) {
        log.append(900);
        await log.sync();
      }
      const backup = log.backup();
      backup.catch(() => {});
      for (let turn = Math.floor(log.random() * 40); turn > 0; turn--) await new Promise(setImmediate);
      const lsn = log.someLsn();
      log.noteBackupOfCut(lsn);
      await log.truncateAfter(lsn);
      log.append(900);
      await log.sync();
      await backup;
      await log.checkBackup();
    }
  },
};
