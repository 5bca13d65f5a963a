/** Prints how many microseconds one of a crowd takes, all of which come at once, in a process of its own: `work count`. */
import { performance } from 'node:perf_hooks';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal, type WalOptions } from '@walstack/wal';

const PAYLOAD = new Uint8Array(8);

/** Milliseconds that something takes. What was made before it is not in the way of the garbage collection. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.();
  const begin = performance.now();
  await run();
  return performance.now() - begin;
}

/** In memory, so that nothing but the log is measured, and a crowd that comes at once waits for no disk. */
const open = (options: WalOptions = {}): Promise<Wal> =>
  Wal.open('/log', { io: createMemoryStorageIo(), markAfterMs: 0, ...options });

async function commits(count: number): Promise<number> {
  const wal = await open();
  const spent = await timed(() => Promise.all(Array.from({ length: count }, () => wal.commit(PAYLOAD))));
  if (wal.durableLsn !== count) throw new Error(`${wal.durableLsn} of ${count} commits are durable`);
  await wal.shutdown();
  return spent;
}

/** What the promises of so many commits cost where there is no log: kept in a queue, and all resolved in the next turn. */
async function promises(count: number): Promise<number> {
  const queue: ((index: number) => void)[] = [];
  return timed(() => {
    const all = Array.from({ length: count }, () => new Promise<number>((resolve) => queue.push(resolve)));
    setImmediate(() => {
      for (const [index, resolve] of queue.entries()) resolve(index);
    });
    return Promise.all(all);
  });
}

/** The memory is full, and all calls that wait for room give up. */
async function aborted(count: number): Promise<number> {
  const wal = await open({ maxPendingBytes: 4096 });
  const controllers = Array.from({ length: count }, () => new AbortController());
  let rejected = 0;
  const spent = await timed(async () => {
    const waiting = controllers.map(({ signal }) => wal.commit(PAYLOAD, { signal }).catch(() => rejected++));
    for (const controller of controllers) controller.abort();
    await Promise.all(waiting);
  });
  if (rejected !== count) throw new Error(`${rejected} of ${count} commits were given up`);
  await wal.shutdown();
  return spent;
}

/** Durability is asked for in falling order, of every second one, and then of the others in rising order. */
async function durable(count: number): Promise<number> {
  const wal = await open();
  for (let lsn = 1; lsn <= count; lsn++) {
    wal.append(PAYLOAD);
    if (lsn % 10_000 === 0) await wal.flush();
  }
  const spent = await timed(() => {
    const waiting: Promise<void>[] = [];
    for (let lsn = count - (count % 2); lsn > 0; lsn -= 2) waiting.push(wal.durable(lsn));
    for (let lsn = 1; lsn <= count; lsn += 2) waiting.push(wal.durable(lsn));
    return Promise.all(waiting);
  });
  await wal.shutdown();
  return spent;
}

/** Each of so many segments is removed, the newest one apart. */
async function truncated(count: number): Promise<number> {
  const wal = await open({ segmentBytes: 65_536 });
  // Two of them do not fit into one segment.
  const payload = new Uint8Array(40_000);
  for (let lsn = 1; lsn <= count + 1; lsn++) {
    wal.append(payload);
    if (lsn % 100 === 0) await wal.flush();
  }
  await wal.sync();
  let removed = 0;
  const spent = await timed(async () => {
    removed = (await wal.truncateBefore(count + 1)).segmentsDeleted;
  });
  if (removed !== count) throw new Error(`${removed} of ${count} segments were removed`);
  await wal.shutdown();
  return spent;
}

const WORKS = { commits, promises, aborted, durable, truncated };

const [, , work = 'commits', given = '1000'] = process.argv;
const run = WORKS[work as keyof typeof WORKS];
const count = Number(given);
// The first ones compile what the others run.
await run(Math.min(count, work === 'truncated' ? 100 : 10_000));
process.stdout.write(`${((await run(count)) * 1000) / count}\n`);
