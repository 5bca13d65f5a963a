import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about: '◆ a crash at any step of a checkpoint leaves this one or the one before, whole',
  modes: ['blocking', 'ring', 'pool'],
  async runCores(cores) {
    await cores.open();
    for (let round = 0; round < 2; round++) {
      cores.appendSome(4, 300);
      const made = cores.checkpoint(async () => {
        cores.appendSome(2, 100);
        if (cores.random() < 0.5) await cores.syncAll();
      });
      made.catch(() => {});
      // In this epoch still, or in the next one already, before its barrier is durable or behind it.
      for (let turn = 0; turn < 3; turn++) {
        cores.appendSome(1, 100);
        await new Promise(setImmediate);
      }
      await made;
      if (cores.random() < 0.4) await cores.open();
    }
  },
};
