// Takes a lock in a worker thread, and keeps it.
import { parentPort, workerData } from 'node:worker_threads';
import { createSyncFsStorageIo } from '@walstack/storage-io';

createSyncFsStorageIo().lock(workerData);
parentPort.postMessage('locked');
setInterval(() => {}, 60_000);
