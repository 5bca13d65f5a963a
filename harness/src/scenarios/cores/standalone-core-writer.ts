import type { WriterScenario } from '../../scenario.js';

export const scenario: WriterScenario = {
  about:
    'the log of one core without a manager: truncation keeps what was committed, and readers see what the writer finds',
  weight: 4,
  modes: ['blocking', 'recycling', 'ring-4', 'pool'],
  async runWriter(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.putSome(4, 900);
      if (log.random() < 0.6) log.commit();
      if (log.random() < 0.5) log.writer.appendEpochBarrier();
      if (log.random() < 0.6) await log.sync();
      log.putSome(2, 900);
      if (log.random() < 0.6) await log.truncate();
      if (log.random() < 0.3) await log.close();
      if (!log.isOpen || log.random() < 0.4) await log.open();
    }
  },
};
