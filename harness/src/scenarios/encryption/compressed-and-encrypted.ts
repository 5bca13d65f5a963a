import { makeKeys } from '../../model/keys.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'payloads that are compressed and encrypted, and some that are not worth it',
  modes: ['blocking', 'ring'],
  config: { keyRing: makeKeys(), compression: { codec: 'deflate', thresholdBytes: 100 } },
  async run(log) {
    await log.open();
    for (let round = 0; round < 5; round++) {
      log.appendSome(3, 2500);
      log.appendSomeBatch(4, 1500);
      if (log.random() < 0.3) await log.flush();
      else await log.sync();
    }
  },
};
