// A process that waits for one job on its standard input, lives it, and prints what it is promised on its standard
// output, each line by a write that has happened when it returns.
import { readSync, writeSync } from 'node:fs';
import { decodeJob } from './job.js';
import { live } from './life.js';
import { encodeReport, type Report } from './reports.js';

/** One line, or what there is when the other end has closed. */
function readLine(): string {
  const chunk = Buffer.alloc(4096);
  let text = '';
  while (!text.endsWith('\n')) {
    const bytes = readSync(0, chunk);
    if (bytes === 0) break;
    text += chunk.toString('utf8', 0, bytes);
  }
  return text;
}

function print(report: Report): void {
  writeSync(1, `${encodeReport(report)}\n`);
}

const line = readLine();
if (line !== '') await live(decodeJob(line), print);
