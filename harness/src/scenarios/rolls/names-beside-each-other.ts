import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ each name is durable for the one that waits for it, whatever sync of the directory is under way meanwhile',
  modes: ['ring', 'ring-4', 'pool'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(8, 700);
      await log.sync();
      const { firstLsn, nextLsn } = log.wal;
      const done: Promise<void>[] = [];
      const turns = async (): Promise<void> => {
        for (let turn = Math.floor(log.random() * 6); turn > 0; turn--) await new Promise(setImmediate);
      };
      // Each gives names: a roll, the checkpoint that a hold is noted in, files that are freed.
      const roll = (): void => {
        log.append(2500 + Math.floor(log.random() * 2000));
        done.push(log.startSync());
      };
      const hold = (): void => {
        const held = log.hold('reader', firstLsn + Math.floor(log.random() * (nextLsn - firstLsn)));
        held.catch(() => {});
        done.push(held);
      };
      const calls = log.random() < 0.5 ? [roll, hold, roll] : [hold, roll, hold];
      for (const call of calls) {
        call();
        await turns();
      }
      await Promise.all(done);
      await log.hold('reader');
      await log.truncate(log.random());
    }
  },
};
