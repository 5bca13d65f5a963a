import { parentPort, workerData } from 'node:worker_threads';
import { tryToMap } from '../frames/mapped-file.js';
import { scannerOf } from '../frames/open-scanner.js';
import { ReadFile } from '../frames/read-file.js';
import { COUNTERS, MOST_AHEAD, type ScanAnswer, type ScanJob, type ScanWorkerData } from './scan-protocol.js';

/** A thread that verifies the checksums of segments, and says where their frames are. */

const port = parentPort;
if (port === null) throw new Error('this is the worker of replayDirectory, and nothing to be run by itself');

// It is ScanAhead alone that makes this worker.
const used = new Int32Array((workerData as ScanWorkerData).used);

port.on('message', (job: ScanJob) => {
  try {
    scan(job);
  } catch {
    // The thread that asked comes to the same place, and says what is wrong there.
  }
  answer({ job: job.job, offsets: undefined });
});

function answer(message: ScanAnswer): void {
  const moved = message.offsets === undefined ? [] : [message.offsets.buffer];
  if (message.offsets !== undefined && message.bytes !== undefined) moved.push(message.bytes.buffer);
  port?.postMessage(message, moved);
}

function scan({ job, path, header }: ScanJob): void {
  const mapped = tryToMap(path, false);
  const file = mapped ?? new ReadFile(path, false);
  try {
    if (!file.hasId(header.segmentId)) return;
    const scanner = scannerOf(file, header);
    for (let answers = 0; scanner.fillSync(); answers++) {
      waitForRoom(job, answers);
      // Whether LSNs count on is for the thread that asked to look at.
      const { frames } = scanner;
      if (mapped !== undefined) answer({ job, base: frames.base, offsets: frames.offsets(), bytes: undefined });
      else answer({ job, ...frames.found() });
    }
  } finally {
    file.close();
  }
}

/** Waits until fewer than `MOST_AHEAD` answers of a job wait to be used. */
function waitForRoom(job: number, answers: number): void {
  const counter = job % COUNTERS;
  for (;;) {
    const count = Atomics.load(used, counter);
    if (answers - count < MOST_AHEAD) return;
    Atomics.wait(used, counter, count);
  }
}
