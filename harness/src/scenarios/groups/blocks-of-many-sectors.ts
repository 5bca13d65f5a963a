import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about: 'blocks of eight sectors, of which a crash leaves some: records over several blocks, and many in one',
  weight: 4,
  modes: ['blocking', 'padded', 'durable', 'recycling', 'ring-4', 'pool'],
  config: { blockBytes: 4096, segmentBytes: 64 * 1024 },
  async run(log) {
    await log.open();
    for (let round = 0; round < 2; round++) {
      log.appendSome(6, 3000);
      if (log.random() < 0.5) log.append(8000 + Math.floor(log.random() * 30_000));
      if (log.random() < 0.7) await log.sync();
      else await log.flush();
      log.appendSome(3, 600);
      if (log.random() < 0.5) void log.startSync();
      if (log.random() < 0.3) await log.truncate(log.random());
      if (log.random() < 0.3) await log.truncateAfter(log.someLsn());
      if (log.random() < 0.4) await log.open();
    }
    await log.sync();
  },
};
