import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about: '◆ an epoch is complete when its barrier is in every log, and then everything before it is',
  modes: ['blocking', 'ring', 'pool'],
  async runCores(cores) {
    await cores.open();
    for (let round = 0; round < 2; round++) {
      cores.appendSome(3, 300);
      const ended = cores.endEpoch();
      ended.catch(() => {});
      await new Promise(setImmediate);
      cores.appendSome(2, 100);
      await cores.sync(round);
      await ended;
      if (cores.random() < 0.4) await cores.open({ incomplete: cores.random() < 0.5 ? 'take' : 'leave' });
    }
    await cores.close();
  },
};
