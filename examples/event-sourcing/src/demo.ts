import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { Wal } from '@walstack/wal';
import { checkEarlierLog } from './earlier-log.js';
import { logIn, TYPES } from './events.js';
import { OrderStore } from './order-store.js';
import { type Projection, projected, rebuilt } from './projection.js';
import { board, sales } from './projections.js';

/** What a run has shown. */
export interface DemoResult {
  readonly orders: number;
  readonly events: number;
  readonly acknowledged: number;
  /** Acknowledged commands that the store does not have. */
  readonly lost: number;
  /** Projections that differ from what all events lead to. */
  readonly different: number;
}

const start = (program: string, ...args: string[]): ChildProcess =>
  spawn(process.execPath, [fileURLToPath(new URL(`${program}.js`, import.meta.url)), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });

/** Removes the shop of an earlier run; other files are kept, and so is everything where `log` is no log. */
async function removeEarlier(directory: string): Promise<void> {
  await checkEarlierLog(logIn(directory));
  rmSync(logIn(directory), { recursive: true, force: true });
  const projections = [sales, board].map(({ name }) => `projections/${name}.json`);
  for (const file of ['snapshot.json', ...projections]) {
    for (const name of [file, `${file}.new`]) rmSync(join(directory, name), { force: true });
  }
}

/** An order as the first program of this shop has stored it, with prices in euros. */
async function storeEarlierForm(directory: string): Promise<void> {
  await using wal = await Wal.open(logIn(directory), { encoding: 'json' });
  const order = 'order-1';
  await wal.commit({ kind: 'placed', order, version: 1, customer: 'customer 1' }, { type: TYPES.placed });
  const item = { kind: 'item-added', order, version: 2, article: 'tea', quantity: 2, euros: 4.35 };
  await wal.commit(item, { type: TYPES['item-added'] });
  await wal.commit({ kind: 'paid', order, version: 3 }, { type: TYPES.paid });
}

/** Takes orders while the writing process and the projections are killed, and compares what is there with all events. */
export async function runDemo(directory: string, orders: number, kills: number): Promise<DemoResult> {
  await removeEarlier(directory);
  await storeEarlierForm(directory);
  const acknowledged = new Map<string, number>([['order-1', 3]]);
  let count = 3;
  for (let run = 0; run <= kills; run++) {
    const before = count;
    const killAt = count + Math.ceil((orders * 4) / (kills + 2)) + Math.floor(Math.random() * 20);
    const projector = start('projector', directory);
    const writer = start('writer', directory, String(orders));
    for await (const line of createInterface({ input: writer.stdout as NodeJS.ReadableStream })) {
      const [order = '', version] = line.split(' ');
      acknowledged.set(order, Number(version));
      count++;
      if (run < kills && count === killAt) for (const each of [projector, writer]) each.kill('SIGKILL');
    }
    if (run === kills) await caughtUp(directory);
    projector.kill('SIGTERM');
    for (const each of [projector, writer]) {
      if (each.exitCode === null && each.signalCode === null) await once(each, 'exit');
    }
    const how = writer.signalCode === 'SIGKILL' ? 'killed' : 'came to the end';
    console.log(`  run ${run + 1}: ${how} behind ${count - before} commands`);
  }
  return await checked(directory, acknowledged, count);
}

/** Waits until no projection has anything to do. */
async function caughtUp(directory: string): Promise<void> {
  const store = await OrderStore.open(directory);
  try {
    for (;;) {
      const done = (await store.lags()).filter(({ lagRecords }) => lagRecords === 0).map(({ name }) => name);
      if ([sales, board].every(({ name }) => done.includes(name))) return;
      await delay(10);
    }
  } finally {
    await store.close();
  }
}

async function checked(directory: string, acknowledged: Map<string, number>, count: number): Promise<DemoResult> {
  const store = await OrderStore.open(directory);
  const lost = [...acknowledged].filter(([id, version]) => store.get(id).version < version).length;
  const { size, lastLsn } = store;
  await store.close();
  const differences = [await differs(directory, sales), await differs(directory, board)];
  return { orders: size, events: lastLsn, acknowledged: count, lost, different: differences.filter(Boolean).length };
}

async function differs<State>(directory: string, projection: Projection<State>): Promise<boolean> {
  const stored = await projected(directory, projection);
  return !isDeepStrictEqual(stored, await rebuilt(directory, projection));
}
