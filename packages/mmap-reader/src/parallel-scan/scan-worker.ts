import { parentPort, workerData } from 'node:worker_threads';
import { scannerOf } from '../frames/open-scanner.js';
import { tryToMap } from '../windows/mapped-file.js';
import { ReadFile } from '../windows/read-file.js';
import { ANSWERS_AHEAD_MAX, COUNTERS, type ScanAnswer, type ScanJob, type ScanWorkerData } from './scan-protocol.js';

/** A thread that verifies the checksums of segments, and reports the offsets of their frames. */

const port = parentPort;
if (port === null) throw new Error('this file is the worker of replayDirectory: it cannot be run by itself');

// Only ScanAhead starts this worker.
const used = new Int32Array((workerData as ScanWorkerData).used);

port.on('message', (job: ScanJob) => {
  try {
    scan(job);
  } catch {
    // The reading thread reaches the same position, and reports what is wrong there.
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
      // The reading thread checks that LSNs are consecutive.
      const { frames } = scanner;
      if (mapped !== undefined) answer({ job, base: frames.base, offsets: frames.offsets(), bytes: undefined });
      else answer({ job, ...frames.found() });
    }
  } finally {
    file.close();
  }
}

/** Waits until fewer than `ANSWERS_AHEAD_MAX` answers of a job wait to be used. */
function waitForRoom(job: number, answers: number): void {
  const counter = job % COUNTERS;
  for (;;) {
    const count = Atomics.load(used, counter);
    if (answers - count < ANSWERS_AHEAD_MAX) return;
    Atomics.wait(used, counter, count);
  }
}
