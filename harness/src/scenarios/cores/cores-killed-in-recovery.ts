import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about: '◆ what is not complete is left in all logs or in none, whenever the one that drops it is killed',
  modes: ['blocking', 'ring', 'pool'],
  async runCores(cores) {
    await cores.open({ cores: 3 });
    for (let round = 0; round < 3; round++) {
      for (const core of [0, 1, 2]) cores.append(core, Math.floor(cores.random() * 300));
      // The barriers of this epoch may be durable in some logs and not in others.
      const ended = cores.endEpoch();
      ended.catch(() => {});
      cores.appendSome(2, 100);
      await cores.sync(round);
      if (cores.random() < 0.5) await ended;
      await cores.open({ cores: cores.random() < 0.5 ? 3 : [0, 2], incomplete: 'leave' });
      if (cores.manager.coreIds.length < 3) await cores.open({ cores: 3, incomplete: 'leave' });
    }
  },
};
