import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about:
    '◆ cores come and go with every log closed cleanly, and each checkpoint has a place in logs that nothing is appended to',
  modes: ['blocking', 'ring', 'pool'],
  async runCores(cores) {
    // Every operation fails in its turn, so what is tried grows with the square of their number: two cores will do.
    for (const ids of cores.random() < 0.5 ? [[0, 1], [0]] : [[0], [0, 1]]) {
      await cores.open({ cores: ids, incomplete: cores.random() < 0.5 ? 'take' : 'leave' });
      cores.appendSome(2, 300);
      await cores.close();
      await cores.open({ cores: ids });
      if (cores.random() < 0.7) await cores.checkpoint();
      await cores.close();
    }
  },
};
