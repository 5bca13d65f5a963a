// A process that waits for one job on its standard input, carries it out, and prints what it is promised on a descriptor of its own.
import { decodeJob } from '../job.js';
import { print } from './print.js';
import { readLine } from './read-line.js';
import { runJob } from './run.js';

const line = readLine();
if (line !== '') await runJob(decodeJob(line), print);
