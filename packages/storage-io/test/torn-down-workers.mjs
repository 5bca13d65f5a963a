// Starts worker threads one after another, each of which writes through a ring of its own until it is torn down in the
// middle of it, and prints what they left behind. Usage: node --expose-gc torn-down-workers.mjs DIRECTORY WORKERS
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

const [directory, count] = [process.argv[2], Number(process.argv[3])];
const writer = new URL('./torn-down-writer.mjs', import.meta.url);

async function tearDownOne(index) {
  const worker = new Worker(writer, { workerData: { path: join(directory, `file ${index % 4}`) }, execArgv: [] });
  await new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  // At another moment each time.
  for (let turns = index % 7; turns > 0; turns--) await turn();
  await worker.terminate();
}

const openFiles = () => readdirSync('/proc/self/fd').length;
/** Mappings of rings: of ours, and in later versions of Node.js of its own. */
const rings = () =>
  readFileSync('/proc/self/maps', 'utf8')
    .split('\n')
    .filter((line) => line.includes('io_uring')).length;

async function residentBytes() {
  for (let round = 0; round < 5; round++) {
    globalThis.gc();
    await turn();
  }
  return process.memoryUsage().rss;
}

// What is made once and kept is made before anything is measured.
for (let index = 0; index < 4; index++) await tearDownOne(index);
const [filesBefore, ringsBefore, bytesBefore] = [openFiles(), rings(), await residentBytes()];
for (let index = 0; index < count; index++) await tearDownOne(index);
const grownBytes = (await residentBytes()) - bytesBefore;
process.stdout.write(
  `${JSON.stringify({ workers: count, openFiles: openFiles() - filesBefore, rings: rings() - ringsBefore, grownBytes })}\n`,
);
