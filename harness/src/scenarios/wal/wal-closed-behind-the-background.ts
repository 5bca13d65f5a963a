import { ModelledWal } from '../../model/modelled-wal.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'Wal: what a flush in the background or the group of an aborted commit fails with is reported by closing',
  modes: ['blocking', 'ring', 'ring-4', 'pool'],
  async run({ random, config }, run) {
    for (const isAborted of [false, true]) {
      const wal = await ModelledWal.open(run, config);
      await wal.commit(Math.floor(random() * 500));
      wal.append(Math.floor(random() * 500));
      wal.fire();
      await wal.idle(20);
      if (isAborted) await wal.commitAborted(Math.floor(random() * 500));
      else {
        wal.append(Math.floor(random() * 500));
        wal.fire();
      }
      await wal.idle(Math.floor(random() * 20));
      await wal.close();
    }
  },
};
