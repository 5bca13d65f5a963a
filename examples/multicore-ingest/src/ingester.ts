import { writeSync } from 'node:fs';
import { PerCoreWalManager } from '@walstack/percore';
import { decodeLine } from './lines.js';
import type { ShardOptions } from './shard.js';
import { Throughput } from './throughput.js';

/**
 * The process that kills itself: opens the log of every core in a worker thread, where each appends the lines of its core,
 * and ends epochs meanwhile.
 *
 * node ingester.js DIRECTORY FILE CORES KILL_AFTER_LINES
 */
const [directory, file, coresText, killText] = process.argv.slice(2) as [string, string, string, string];
const cores = Number(coresText);
const killAfter = Number(killText);

const progress = new SharedArrayBuffer(4 * cores);
const durable = new Int32Array(progress);
const lastLines = Array.from({ length: cores }, () => 0);

const manager = await PerCoreWalManager.open({
  directory,
  cores,
  recover: async (recovery) => {
    await recovery.entries().forEach((entry) => {
      if (entry.operation === 'put') lastLines[entry.coreId] = decodeLine(entry.value).number;
    });
  },
  workers: {
    run: {
      module: new URL('./shard.js', import.meta.url).href,
      export: 'ingest',
      options: { file, cores, progress } satisfies ShardOptions,
    },
  },
});

const throughput = new Throughput(durable);
const watching = setInterval(() => {
  throughput.show();
  if (killAfter > 0 && durable.reduce((sum, lines) => sum + lines, 0) >= killAfter)
    process.kill(process.pid, 'SIGKILL');
}, 5);

let ingesting = true;
const endingEpochs = (async () => {
  while (ingesting) {
    const epoch = await manager.endEpoch();
    writeSync(3, `epoch ${epoch}\n`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
})();

for (const coreId of manager.coreIds) manager.port(coreId).postMessage(lastLines[coreId]);
await Promise.all(manager.coreIds.map((coreId) => manager.finished(coreId)));
ingesting = false;
await endingEpochs;
clearInterval(watching);
throughput.show(true);
await manager.close();
writeSync(3, 'end\n');
