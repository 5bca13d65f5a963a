import { makeKeys } from '../../model/keys.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ no key is used twice with one nonce, though a log and a backup of it that was restored both go on',
  modes: ['blocking', 'ring'],
  config: { keyRing: makeKeys() },
  weight: 2,
  async run(log) {
    await log.open();
    for (let round = 0; round < 3; round++) {
      log.appendSome(2, 900);
      await log.backup();
      log.appendSome(2, 500);
      await log.flush();
      await log.noteKeyStreams();
      if (log.random() < 0.5) await log.close();
      if (!log.isOpen || log.random() < 0.3) await log.open();
    }
  },
};
