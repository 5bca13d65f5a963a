import { ModelledWal } from '../../model/modelled-wal.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'Wal: appends that are flushed in the background between commits, and a shutdown',
  modes: ['blocking', 'ring', 'ring-1', 'ring-4', 'pool'],
  async run({ random, config }, run) {
    const wal = await ModelledWal.open(run, config);
    for (let round = 0; round < 6; round++) {
      for (let event = 0; event < random() * 4; event++) wal.append(Math.floor(random() * 500));
      if (random() < 0.5) wal.fire();
      if (random() < 0.6) await wal.commit(Math.floor(random() * 200));
      else await new Promise(setImmediate);
    }
    await wal.shutdown();
  },
};
