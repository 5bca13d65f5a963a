// Runs in the guest: waits for one job on its standard input, carries it out, and prints what it is promised on a descriptor of its own.

import { print } from '../../torture/workload/print.js';
import { readLine } from '../../torture/workload/read-line.js';
import { failureOf, runJob } from '../../torture/workload/run.js';
import { liveCarelessly } from './careless.js';
import type { GuestJob } from './job.js';

const line = readLine();
if (line !== '') {
  const job = JSON.parse(line) as GuestJob;
  if (job.careless) await liveCarelessly(job, print).catch((error: unknown) => print(failureOf(error)));
  else await runJob(job, print);
}
