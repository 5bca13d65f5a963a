// A thread that fuzzes, so that another one can see when it hangs.
import { parentPort, workerData } from 'node:worker_threads';
import type { Arguments } from './arguments.js';
import { fuzz, type Progress } from './fuzz.js';

const tell = (progress: Progress): void => parentPort?.postMessage(progress);

// Whoever makes a worker of this file gives it these.
const finding = await fuzz(workerData as Arguments, tell);
tell({ what: 'done', finding });
