import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about: 'everything in the logs of all cores is forgotten, or nothing, and what no checkpoint needs goes later',
  weight: 8,
  modes: ['blocking', 'ring', 'pool'],
  async runCores(cores) {
    await cores.open({ cores: 2 });
    cores.appendSome(3, 900);
    if (cores.random() < 0.5) await cores.checkpoint();
    cores.appendSome(2, 300);
    if (cores.random() < 0.5) await cores.syncAll();
    await cores.reset();
    cores.appendSome(2, 300);
    if (cores.random() < 0.5) await cores.truncate();
    if (cores.random() < 0.4) await cores.open({ cores: 2, incomplete: cores.random() < 0.5 ? 'take' : 'leave' });
  },
};
