import { makeKeys } from '../../model/keys.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'a log that is given its keys before the first append goes on in another segment than the empty one',
  modes: ['blocking', 'ring'],
  config: { keyRing: makeKeys() },
  async run(log) {
    for (let run = 0; run < 3; run++) {
      await log.open(run === 0 ? { keyRing: undefined } : {});
      log.wal.setEncryptionRing(makeKeys());
      log.append(Math.floor(log.random() * 500));
      if (log.random() < 0.7) await log.sync();
      await log.truncate(1);
      // An empty segment under the key before.
      await log.rotateKey(2);
      log.append(Math.floor(log.random() * 500));
      if (log.random() < 0.7) await log.sync();
    }
  },
};
