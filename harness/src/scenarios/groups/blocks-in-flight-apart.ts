import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ no two writes in flight touch the same block',
  modes: ['ring', 'ring-4'],
  config: { segmentBytes: 16_384, preallocate: 'write', maxInFlight: 3 },
  async run(log) {
    await log.open();
    const syncs: Promise<void>[] = [];
    for (let group = 0; group < 12; group++) {
      log.appendSome(2, 900);
      syncs.push(log.startSync());
      if (group % 4 === 3) await syncs[group - 2];
    }
    await Promise.all(syncs);
  },
};
