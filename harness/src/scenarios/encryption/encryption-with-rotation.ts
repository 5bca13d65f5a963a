import { makeKeys } from '../../model/keys.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'an encrypted log goes through its keys, with records, batches and truncation in between',
  config: { keyRing: makeKeys() },
  async run(log) {
    await log.open({ keyRing: makeKeys() });
    for (let round = 0; round < 5; round++) {
      log.appendSome(2, 700);
      if (log.random() < 0.5) log.appendSomeBatch(3, 400);
      if (log.random() < 0.3) await log.flush();
      if (log.random() < 0.6) await log.rotateKey(1 + Math.floor(log.random() * 3));
      else await log.sync();
      if (log.random() < 0.3) await log.truncate(log.random());
    }
  },
};
