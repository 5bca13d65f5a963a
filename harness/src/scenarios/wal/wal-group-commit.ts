import { ModelledWal } from '../../model/modelled-wal.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'Wal: several committers share groups, each at a pace of its own',
  modes: ['blocking', 'ring', 'ring-1', 'ring-4', 'pool'],
  async run({ random, config }, run) {
    const wal = await ModelledWal.open(run, config);
    const committer = async (): Promise<void> => {
      for (let commit = 0; commit < 5; commit++) {
        await wal.commit(Math.floor(random() ** 2 * 900));
        if (random() < 0.3) await new Promise(setImmediate);
      }
    };
    await Promise.all([committer(), committer(), committer()]);
  },
};
