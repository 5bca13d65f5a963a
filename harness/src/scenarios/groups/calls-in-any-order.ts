import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

/** What is asked of the log while other calls are under way. */
const BESIDE: readonly ((log: ModelledLog) => Promise<void> | void)[] = [
  (log) => log.appendSome(1 + Math.floor(log.random() * 4), 700),
  (log) => log.appendSomeBatch(3, 500),
  (log) => log.append(Math.floor(log.random() * 1500)),
  (log) => log.startSync(),
  (log) => log.startSync(),
  (log) => log.flush(),
  (log) => log.truncate(log.random()),
  (log) => log.checkpoint(log.someLsn()),
  (log) => log.hold('reader', Math.max(log.wal.firstLsn, log.someLsn())),
  (log) => log.hold('reader'),
  (log) => log.quiet(),
];

/** What is asked of it when they have ended. */
const ALONE: readonly ((log: ModelledLog) => Promise<void>)[] = [
  (log) => log.sync(),
  (log) => log.truncateAfter(log.someLsn()),
  (log) => log.resetTo(Math.max(1, log.wal.nextLsn + Math.floor(log.random() * 9) - 4)),
  (log) => log.close(),
];

export const scenario: Scenario = {
  about:
    'appends, syncs, truncation, checkpoints, holds, cuts and ends of a run, one beside the other and in any order',
  weight: 2,
  async run(log) {
    for (let run = 0; run < 3; run++) {
      await log.open({ segmentBytes: log.random() < 0.3 ? 8192 : 2048 });
      for (let turn = 0; turn < 3; turn++) {
        const underWay: Promise<void>[] = [];
        for (let call = 1 + Math.floor(log.random() * 6); call > 0; call--) {
          const asked = pick(log, BESIDE)(log);
          asked?.catch(() => {});
          if (asked !== undefined) underWay.push(asked);
          if (log.random() < 0.3) await new Promise(setImmediate);
        }
        // Or the run ends beside them.
        if (log.random() < 0.15) break;
        await Promise.all(underWay);
        if (log.random() < 0.6) await pick(log, ALONE)(log);
        if (!log.isOpen) break;
      }
    }
    await log.open();
  },
};

const pick = <T>(log: ModelledLog, from: readonly T[]): T => from[Math.floor(log.random() * from.length)] as T;
