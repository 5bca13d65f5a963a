// A process that waits for one job on its standard input, lives it, and prints what it is promised on a descriptor of its own.
import { decodeJob } from '../job.js';
import { live } from './life.js';
import { print } from './print.js';
import { readLine } from './read-line.js';

const line = readLine();
if (line !== '') await live(decodeJob(line), print);
