// A process that waits for one job on its standard input, lives it, and prints what it is promised on a descriptor of its own.
import { readSync } from 'node:fs';
import { decodeJob } from './job.js';
import { live } from './life.js';
import { print } from './print.js';

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

const line = readLine();
if (line !== '') await live(decodeJob(line), print);
