import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ before the name of a segment is durable nothing in it is acknowledged, and no further one is named',
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      const syncs: Promise<void>[] = [];
      for (let roll = 0; roll < 3; roll++) {
        log.append(1500 + Math.floor(log.random() * 900));
        syncs.push(log.startSync());
      }
      await Promise.all(syncs);
    }
  },
};
