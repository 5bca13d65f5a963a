import { ModelledFollower } from '../model/modelled-follower.js';
import type { Scenario } from '../scenario.js';

export const scenario: Scenario = {
  about: 'followers with a name beside truncation: what they have not acknowledged stays, over every crash',
  weight: 2,
  modes: ['blocking', 'ring-4', 'pool'],
  config: { segmentBytes: 1024 },
  async run(log, run) {
    await log.open();
    const append = async (): Promise<void> => {
      for (let record = 0; record < 4; record++) log.append(100 + Math.floor(log.random() * 400));
      await log.sync();
    };
    await append();
    const first = await ModelledFollower.begin(run, 'first', 'first');
    await first?.end();
    for (let round = 0; round < 3; round++) {
      await append();
      if (log.random() < 0.3) await log.open();
      // A new one comes while the log is being truncated, and one goes on.
      const { firstLsn, nextLsn } = log.wal;
      const from = firstLsn + Math.floor(log.random() * (nextLsn - firstLsn));
      const truncating = log.truncate(0.5 + log.random() / 2, false);
      truncating.catch(() => {});
      for (let turn = 0; turn < log.random() * 6; turn++) await new Promise(setImmediate);
      const late = await ModelledFollower.begin(run, `late-${round}`, from);
      const stored = await ModelledFollower.begin(run, 'first', 'stored');
      await truncating;
      if (stored !== undefined) {
        const taken = await stored.take();
        const acknowledging = stored.acknowledge(taken);
        acknowledging.catch(() => {});
        await log.truncate(log.random(), false);
        await acknowledging;
        await stored.end();
      }
      await late?.end();
      if (late !== undefined && log.random() < 0.5) await log.removeFollower(`late-${round}`);
      await log.truncate(log.random());
    }
  },
};
