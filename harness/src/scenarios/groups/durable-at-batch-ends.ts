import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ what is durable moves from the end of a batch to the end of another, whatever else is under way',
  modes: ['ring', 'ring-4', 'pool'],
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      // Over several segments, were it not for the batch.
      log.appendBatch(Array.from({ length: 6 }, () => 900 + Math.floor(log.random() * 600)));
      const synced = log.startSync();
      for (let turn = 0; turn < 12; turn++) {
        await new Promise(setImmediate);
        log.acknowledge();
      }
      log.append(Math.floor(log.random() * 300));
      await synced;
    }
    await log.sync();
  },
};
