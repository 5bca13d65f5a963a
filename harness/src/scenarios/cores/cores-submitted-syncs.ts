import type { CoresScenario } from '../../scenario.js';

export const scenario: CoresScenario = {
  about: '◆ a submitted sync covers what was appended before it was submitted, and nothing else',
  modes: ['blocking', 'durable', 'ring', 'pool'],
  async runCores(cores) {
    await cores.open();
    for (let round = 0; round < 2; round++) {
      for (const core of [0, 1, 2]) {
        cores.append(core, Math.floor(cores.random() * 600));
        cores.submit(core);
        cores.append(core, 5);
        await cores.poll(core);
      }
    }
    // What is asked for at last, or closing, says how it has ended.
    if (cores.random() < 0.5) await cores.close();
    else for (const core of [0, 1, 2]) await cores.settle(core);
  },
};
