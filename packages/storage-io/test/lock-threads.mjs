// Two worker threads, each with its own environment, want the same lock: prints what came of it, and what comes of it
// when the first has been terminated.
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';

if (isMainThread) {
  const [path, first, second] = process.argv.slice(2);
  const start = (native) => {
    const env = { ...process.env, WALSTACK_NATIVE: native };
    const worker = new Worker(new URL(import.meta.url), { workerData: path, env });
    return { worker, told: once(worker, 'message').then(([message]) => message) };
  };
  const holder = start(first);
  const results = [await holder.told];
  const refused = start(second);
  results.push(await refused.told);
  await refused.worker.terminate();
  await holder.worker.terminate();
  const next = start(second);
  results.push(await next.told);
  await next.worker.terminate();
  console.log(JSON.stringify(results));
} else {
  const { createSyncFsStorageIo } = await import('@walstack/storage-io');
  try {
    createSyncFsStorageIo().lock(workerData);
    parentPort.postMessage({ locked: true });
  } catch ({ code, reason, message }) {
    parentPort.postMessage({ locked: false, code, reason, message });
  }
  setInterval(() => {}, 60_000);
}
