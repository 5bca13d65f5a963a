// A worker thread that carries out the job it was given, and writes what it is promised to a file, each line by a write that
// has happened when it returns. It is terminated in the midst of that.
import { openSync, writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { encodeReport } from '../reports.js';
import type { WorkerData } from '../victims/worker-victim.js';
import { runJob } from './run.js';

// Whoever makes a worker of this file gives it this.
const { job, reports } = workerData as WorkerData;
const fd = openSync(reports, 'w');
await runJob(job, (report) => writeSync(fd, `${encodeReport(report)}\n`));
