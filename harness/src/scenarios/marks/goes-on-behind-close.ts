import type { Scenario } from '../../scenario.js';

export const scenario: Scenario = {
  about:
    '◆ a log that was closed goes on in the same segment, and no write of a killed process lands in what it appends',
  config: { segmentBytes: 32_768 },
  async run(log) {
    const turns = async (most: number): Promise<void> => {
      for (let turn = Math.floor(log.random() * most); turn > 0; turn--) await new Promise(setImmediate);
    };
    for (let round = 0; round < 4; round++) {
      await log.open();
      log.append(Math.floor(log.random() * 700));
      await log.close();
      // Killed while it goes on, perhaps before anything shows that it does.
      await log.open();
      log.append(Math.floor(log.random() * 700));
      void log.startSync();
      await turns(5);
      log.kill();
      // What it still had to write may land while the next one writes, or behind it.
      await log.open();
      log.append(Math.floor(log.random() * 700));
      await log.sync();
      await turns(12);
      log.kill();
    }
    await log.open();
    log.appendSome(3, 500);
    await log.close();
    await log.open();
  },
};
