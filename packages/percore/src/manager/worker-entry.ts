/**
 * Runs in each worker thread of a per-core log: opens the log of one core, runs the program of the user, which appends to it,
 * and serves the requests of the manager meanwhile. Started by the manager.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { type Report, serveWorker, type WorkerData } from './worker.js';

const port = parentPort;
if (port === null) throw new Error('this module runs in a worker thread that a PerCoreWalManager has started');

const report = (message: Report): void => port.postMessage(message);
const serving = serveWorker(workerData as WorkerData, report);
port.on('message', (request) => void serving.then((serve) => serve?.(request)));
