import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about: '◆ a core is waited for before its first entry, and no more when it has left',
  modes: ['blocking', 'ring', 'pool'],
  async runCores(cores) {
    for (const ids of [
      [0, 1],
      [1, 2],
      [0, 2],
    ]) {
      await cores.open({ cores: ids, incomplete: cores.random() < 0.5 ? 'take' : 'leave' });
      cores.appendSome(3, 300);
      const ended = cores.endEpoch();
      ended.catch(() => {});
      cores.appendSome(2, 100);
      await ended;
      cores.appendSome(2, 100);
      if (cores.random() < 0.4) await cores.checkpoint();
      if (cores.random() < 0.3) await cores.close();
    }
  },
};
