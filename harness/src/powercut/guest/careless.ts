import { SegmentedWal } from '@walstack/segmented';
import { backendNamed } from '../../torture/backends.js';
import { configOf } from '../../torture/config.js';
import { Contents } from '../../torture/expected/contents.js';
import type { Report } from '../../torture/reports.js';
import type { GuestJob } from './job.js';

const RECORDS_AT_ONCE = 5;

/** A run that promises too much: it calls durable what was only flushed. A power cut has to show that. */
export async function liveCarelessly(job: GuestJob, report: (report: Report) => void): Promise<never> {
  const { options, backend, directory } = job;
  const log = await SegmentedWal.open({ ...configOf(options), ...backendNamed(backend).options, directory });
  report({ what: 'opened', firstLsn: log.firstLsn, nextLsn: log.nextLsn });
  const contents = new Contents(job.seed, options);
  for (;;) {
    for (let record = 0; record < RECORDS_AT_ONCE; record++) {
      const { payload, options } = contents.of(job.run, log.nextLsn);
      log.append(payload, options);
    }
    await log.flush();
    report({ what: 'acknowledged', lsn: log.lastLsn });
  }
}
