import { spawnSync } from 'node:child_process';
import type { DurableLoop } from './durable-loop.js';

/** What is used of fio's report. */
interface FioReport {
  readonly jobs: readonly [{ readonly write: FioWrites }];
}

interface FioWrites {
  readonly iops: number;
  readonly lat_ns: { readonly percentile: Readonly<Record<'50.000000' | '99.000000' | '99.900000', number>> };
}

/** fio, where it is installed. @returns a sentence where it is not */
export function fio(): DurableLoop | string {
  const { status, stdout } = spawnSync('fio', ['--version'], { encoding: 'utf8' });
  if (status !== 0) return 'fio is left out: it is not installed.';
  return {
    name: 'fio',
    how: `${stdout.trim()}: --rw=write --direct=1 --sync=dsync --ioengine=io_uring, on a file that was written before`,
    run: (run) => {
      const answer = spawnSync('fio', argumentsFor(run), { encoding: 'utf8' });
      if (answer.status !== 0) throw new Error(`fio failed: ${answer.stderr}`);
      // fio may print notes before its report.
      const report = JSON.parse(answer.stdout.slice(answer.stdout.indexOf('{'))) as FioReport;
      const { iops, lat_ns } = report.jobs[0].write;
      const { '50.000000': p50, '99.000000': p99, '99.900000': p999 } = lat_ns.percentile;
      // It does not print each write.
      return { writesPerSecond: iops, p50Us: p50 / 1000, p99Us: p99 / 1000, p999Us: p999 / 1000, slow: undefined };
    },
  };
}

const argumentsFor = ({ path, depth, bytes, durationMs }: Parameters<DurableLoop['run']>[0]): string[] => [
  '--name=durable-writes',
  `--filename=${path}`,
  '--rw=write',
  '--direct=1',
  '--sync=dsync',
  '--ioengine=io_uring',
  `--iodepth=${depth}`,
  `--bs=${bytes}`,
  '--size=64m',
  '--overwrite=1',
  '--time_based=1',
  `--runtime=${durationMs}ms`,
  '--lat_percentiles=1',
  '--percentile_list=50:99:99.9',
  '--output-format=json',
];
