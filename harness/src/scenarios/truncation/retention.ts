import { WalError } from '@walstack/codec';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

/** Retention of an earlier roll, which runs in the background, may remove the record before the hold is set. */
async function holdUnlessGone(log: ModelledLog, lsn: number): Promise<void> {
  try {
    await log.hold('reader', lsn);
  } catch (error) {
    if (!WalError.is(error, 'WAL_TRUNCATED') || log.wal.firstLsn <= lsn) throw error;
  }
}

export const scenario: Scenario = {
  about: 'retention drops what is behind the checkpoint and no hold needs, and nothing else',
  config: { retainBytes: 4096 },
  async run(log) {
    await log.open();
    for (let round = 0; round < 4; round++) {
      log.appendSome(8, 700);
      if (log.random() < 0.5) await log.sync();
      if (log.random() < 0.5) await holdUnlessGone(log, log.wal.firstLsn + 1);
      await log.checkpoint(log.someLsn());
      if (log.random() < 0.5) await log.hold('reader');
      if (log.random() < 0.3) await log.open();
    }
  },
};
