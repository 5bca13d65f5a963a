import { ModelledWal } from '../../model/modelled-wal.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'Wal: a writer that is faster than the disk is held back, and loses nothing by it',
  modes: ['ring', 'ring-4', 'pool'],
  async run({ random, config }, run) {
    const wal = await ModelledWal.open(run, { ...config, maxPendingBytes: 1500 });
    for (let event = 0; event < 20; event++) {
      if (!wal.append(Math.floor(random() * 900))) await wal.wal.ready();
    }
    await wal.sync();
    await wal.shutdown();
  },
};
