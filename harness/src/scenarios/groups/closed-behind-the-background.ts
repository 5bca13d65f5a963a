import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'what fails in the background is reported by closing, where no other call comes',
  modes: ['blocking', 'ring', 'pool'],
  config: { preallocate: 'write', recycleSegments: 1, retainBytes: 2048 },
  async run(log) {
    for (let run = 0; run < 2; run++) {
      await log.open();
      log.appendSome(3, 1200);
      await log.sync();
      await log.checkpoint(log.wal.lastLsn);
      // Rolls, after which retention begins and the next segment is prepared.
      log.append(1900);
      await log.sync();
      log.append(5);
      for (let turn = Math.floor(log.random() * 12); turn > 0; turn--) await new Promise(setImmediate);
      await log.close();
    }
  },
};
