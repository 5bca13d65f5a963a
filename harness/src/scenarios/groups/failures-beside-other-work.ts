import { isOfDisk } from '../../model/failing-syncs.js';
import type { ModelledLog } from '../../model/modelled-log.js';
import type { Scenario } from '../../scenario.js';

/** More than a disk that comes round by itself has a log opened for. */
const FAILURES_MOST = 60;

/** Groups, rolls, preparation, truncation, a checkpoint and a hold, under way at the same time. */
async function everythingAtOnce(log: ModelledLog): Promise<void> {
  const underWay: Promise<void>[] = [];
  const begin = (call: Promise<void>): void => {
    call.catch(() => {});
    underWay.push(call);
  };
  log.appendSome(4, 900);
  begin(log.startSync());
  begin(log.truncate(log.random()));
  log.append(1500 + Math.floor(log.random() * 3000));
  begin(log.startSync());
  if (log.random() < 0.5) await new Promise(setImmediate);
  begin(log.checkpoint(log.someLsn()));
  // Behind whatever the truncation before it removes.
  if (log.random() < 0.5) begin(log.hold('reader', log.wal.lastLsn));
  else begin(log.hold('reader'));
  log.appendSome(3, 700);
  begin(log.startSync());
  await Promise.all(underWay);
}

export const scenario: Scenario = {
  about:
    'an operation that fails beside the work of others: the log is opened again, and it may fail again, until all is well',
  modes: ['ring-4', 'pool', 'recycling'],
  weight: 4,
  config: { preallocate: 'write', recycleSegments: 1 },
  async run(log) {
    let rounds = 0;
    for (let failures = 0; ; failures++) {
      try {
        await log.open();
        for (; rounds < 2; rounds++) await everythingAtOnce(log);
        return;
      } catch (error) {
        if (!isOfDisk(error) || failures === FAILURES_MOST) throw error;
        log.kill();
      }
    }
  },
};
