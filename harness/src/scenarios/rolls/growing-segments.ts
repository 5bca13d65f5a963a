import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'the first segments of a log are shorter: each next one is prepared four times as long',
  weight: 24,
  modes: ['ring', 'recycling'],
  config: { blockBytes: 65_536, segmentBytes: 2_097_152, preallocate: 'write' },
  async run(log) {
    await log.open();
    for (let group = 0; group < 26; group++) {
      log.append(30_000 + Math.floor(log.random() * 30_000));
      await log.sync();
    }
    await log.close();
    await log.open();
    log.append(100);
    await log.sync();
  },
};
