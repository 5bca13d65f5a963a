import { writeSync } from 'node:fs';
import { encodeReport, type Report } from '../reports.js';

/** Where a process reports. Its standard output will not do: a process that has worker threads does not block when it is full. */
export const REPORTS_FD = 3;

/** Reports something, from whichever thread of the process, by a write that has happened on return. */
export function print(report: Report): void {
  writeSync(REPORTS_FD, `${encodeReport(report)}\n`);
}
