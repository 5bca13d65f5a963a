import { makeKeys } from '../../model/keys.js';
import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ no key is used twice with one nonce, though an LSN is given out again after a crash',
  modes: ['blocking', 'ring'],
  config: { keyRing: makeKeys() },
  async run(log) {
    await log.open();
    for (let round = 0; round < 5; round++) {
      log.appendSome(2, 500);
      // On the disk, where it could be read, and perhaps gone after the next crash.
      await log.flush();
      await log.noteKeyStreams();
      if (log.random() < 0.4) await log.sync();
      if (log.random() < 0.3) await log.open();
    }
  },
};
