import { ModelledWal } from '../model/modelled-wal.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'Wal: what a flush in the background or the group of an aborted commit fails with is reported by closing',
  modes: ['blocking', 'ring', 'ring-4', 'pool'],
  async run({ random, config }, life) {
    const wal = await ModelledWal.open(life, config);
    for (let round = 0; round < 3; round++) {
      wal.append(Math.floor(random() * 500));
      wal.fire();
      await wal.idle(8);
      if (random() < 0.7) await wal.commitAborted(Math.floor(random() * 500));
      else {
        wal.append(Math.floor(random() * 500));
        wal.fire();
      }
      await wal.idle(Math.floor(random() * 8));
    }
    await wal.close();
  },
};
