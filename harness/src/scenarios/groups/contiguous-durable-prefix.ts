import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ the durable prefix never jumps over a write that has not completed',
  modes: ['ring', 'ring-4'],
  async run(log) {
    await log.open();
    const syncs: Promise<void>[] = [];
    for (let group = 0; group < 14; group++) {
      log.append(Math.floor(log.random() ** 2 * 1500));
      syncs.push(log.startSync());
      if (log.random() < 0.4) await new Promise(setImmediate);
    }
    await Promise.all(syncs);
  },
};
