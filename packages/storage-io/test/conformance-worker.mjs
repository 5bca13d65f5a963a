// Runs the whole contract on io-uring in this thread, and posts what came of it.
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import { createIoUringStorageIo } from '@walstack/storage-io';
import { storageIoConformance } from '@walstack/storage-io/conformance';

mkdirSync(workerData.directory);
const tests = [];
storageIoConformance({
  test: (name, run) => tests.push({ name, run }),
  create: (options) => {
    const directory = mkdtempSync(join(workerData.directory, 'case-'));
    return {
      io: createIoUringStorageIo(options),
      another: () => createIoUringStorageIo(),
      directory,
      destroy: () => rmSync(directory, { recursive: true }),
    };
  },
});
const failures = [];
for (const { name, run } of tests) {
  try {
    await run();
  } catch (error) {
    failures.push(`${name}: ${error.stack}`);
  }
}
parentPort.postMessage({ passed: tests.length - failures.length, failures });
