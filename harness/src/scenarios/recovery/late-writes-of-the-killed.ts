import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ writes of a killed process that still land in the old file are hidden',
  modes: ['ring', 'ring-4', 'pool'],
  async run(log) {
    for (let run = 0; run < 5; run++) {
      await log.open();
      log.append(Math.floor(log.random() * 500));
      await log.sync();
      log.appendSome(4, 900);
      void log.startSync();
      for (let turn = Math.floor(log.random() * 4); turn > 0; turn--) await new Promise(setImmediate);
      log.kill();
      // What lands behind an opening that has not found it must not come back, though nothing was appended meanwhile.
      await log.open();
      for (let turn = Math.floor(log.random() * 4); turn > 0; turn--) await new Promise(setImmediate);
    }
    await log.open();
    log.append(10);
    await log.sync();
  },
};
