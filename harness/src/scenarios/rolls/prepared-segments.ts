import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    'the next segment is prepared in pieces beside groups, and is taken before it is ready, when it is, or not at all',
  modes: ['ring', 'ring-4', 'pool', 'recycling'],
  config: { segmentBytes: 16_384, preallocate: 'write' },
  async run(log) {
    for (let opening = 0; opening < 2; opening++) {
      await log.open();
      for (let round = 0; round < 5; round++) {
        const syncs: Promise<void>[] = [];
        for (let group = 0; group < 6; group++) {
          log.appendSome(2, 900);
          syncs.push(log.startSync());
        }
        // Rolls, whatever is prepared by now.
        if (log.random() < 0.4) syncs.push(log.truncate(1));
        await Promise.all(syncs);
      }
      if (log.random() < 0.5) await log.close();
      else log.kill();
    }
  },
};
