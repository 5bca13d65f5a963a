/** Prints by how much heap and resident memory grow while a log is replayed, as JSON: `directory last-lsn`. */
import { setTimeout } from 'node:timers/promises';
import { replayDirectory } from '@walstack/mmap-reader';

const [, , directory = '.', lastLsn = '1'] = process.argv;
const to = Number(lastLsn);

interface Memory {
  readonly heapBytes: number;
  readonly residentBytes: number;
}

function memory(): Memory {
  const { heapUsed, rss } = process.memoryUsage();
  return { heapBytes: heapUsed, residentBytes: rss };
}

async function settled(): Promise<Memory> {
  for (let round = 0; round < 3; round++) {
    await setTimeout(50);
    globalThis.gc?.();
  }
  return memory();
}

let sum = 0;
let most: Memory = { heapBytes: 0, residentBytes: 0 };

async function replayTo(lsn: number): Promise<number> {
  return replayDirectory(directory, {
    to: lsn,
    onProgress: () => {
      const { heapBytes, residentBytes } = memory();
      most = {
        heapBytes: Math.max(most.heapBytes, heapBytes),
        residentBytes: Math.max(most.residentBytes, residentBytes),
      };
    },
  }).scan((cursor) => {
    sum += cursor.payload[0] ?? 0;
  });
}

// What the first records take is the code, the addon and one window of the file.
await replayTo(Math.min(to, 100_000));
const before = await settled();
most = before;
const count = await replayTo(to);
if (count !== to || sum === 0) throw new Error(`${count} records of ${to} were read`);
const growth: Memory = {
  heapBytes: most.heapBytes - before.heapBytes,
  residentBytes: most.residentBytes - before.residentBytes,
};
process.stdout.write(JSON.stringify(growth));
