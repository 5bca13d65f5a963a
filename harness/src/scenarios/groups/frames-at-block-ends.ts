import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: '◆ no frame starts in the last 7 bytes of a block',
  async run(log) {
    await log.open();
    let end = 0;
    for (let record = 0; record < 14; record++) {
      // So long that the frame ends in the last bytes of a block, or with it, or in the first of the next.
      const left = 512 - (end % 512);
      const bytes = Math.max(20, left - 32 - 9 + (record % 12) + (left < 90 ? 512 : 0));
      log.append(bytes);
      end += 32 + bytes;
      if (record % 2 === 1) await log.sync();
      else await log.flush();
    }
  },
};
