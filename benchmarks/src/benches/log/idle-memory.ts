/** Prints by how many bytes the resident memory of a process grows for each log that is open and idle: `io directory`. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import type { StorageIoName } from '@walstack/storage-io';
import { Wal } from '@walstack/wal';

const LOGS = 8;

const [, , io = 'auto', directory = '.'] = process.argv;

/** A log that was used, and is not any more. */
async function usedLog(number: number): Promise<Wal> {
  const wal = await Wal.open(join(directory, String(number)), { io: io as StorageIoName });
  for (let round = 0; round < 20; round++) {
    await Promise.all(Array.from({ length: 50 }, () => wal.commit(new Uint8Array(100))));
  }
  return wal;
}

async function residentBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await setTimeout(100);
    globalThis.gc?.();
  }
  return process.memoryUsage.rss();
}

mkdirSync(directory, { recursive: true });
// What the first ones take is the code, the addon and the thread pool.
const logs = [await usedLog(0), await usedLog(1)];
const before = await residentBytes();
for (let number = 2; number < 2 + LOGS; number++) logs.push(await usedLog(number));
const after = await residentBytes();
for (const wal of logs) await wal.shutdown();
process.stdout.write(`${Math.max(0, Math.round((after - before) / LOGS))}\n`);
