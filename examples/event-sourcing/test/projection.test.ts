import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Wal, type WalProgress } from '@walstack/wal';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOG_OPTIONS, logIn, type OrderEvents } from '../src/events.js';
import { OrderStore } from '../src/order-store.js';
import { type Projection, project, projected, rebuilt, replaceProjected } from '../src/projection.js';
import { board, sales } from '../src/projections.js';

let directory: string;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-orders-test-'));
  await take(1, 40);
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Takes orders with these numbers: every fourth is cancelled, every fifth is left open. */
async function take(from: number, to: number): Promise<void> {
  const store = await OrderStore.open(directory);
  const taking = Array.from({ length: to - from + 1 }, async (_, index) => {
    const number = from + index;
    const id = `order-${number}`;
    await store.execute(id, { do: 'place', customer: 'Ada' });
    await store.execute(id, { do: 'add', article: number % 2 === 0 ? 'tea' : 'milk', quantity: 1, cents: 100 });
    if (number % 4 === 0) await store.execute(id, { do: 'cancel', reason: 'none' });
    else if (number % 5 !== 0) await store.execute(id, { do: 'pay' });
  });
  await Promise.all(taking);
  await store.close();
}

/** Projects until it has seen everything, and returns what it has stored. */
async function caughtUp<State>(projection: Projection<State>): Promise<State> {
  const { lsn } = await rebuilt(directory, projection);
  const ending = new AbortController();
  const running = project(directory, projection, { signal: ending.signal });
  for (;;) {
    const stored = await Promise.race([projected(directory, projection), running]);
    if (stored !== undefined && stored.lsn === lsn) {
      ending.abort();
      await running;
      return stored.state;
    }
    await delay(2);
  }
}

test('a projection has what the events lead to, goes on where it ended, and equals one from scratch', async () => {
  expect(await caughtUp(board)).toEqual({ placed: 6, paid: 24, shipped: 0, cancelled: 10 });
  expect((await caughtUp(sales)).articles).toEqual({
    milk: { quantity: 16, cents: 1600 },
    tea: { quantity: 8, cents: 800 },
  });
  await take(41, 60);
  for (const projection of [board, sales] as readonly Projection<unknown>[]) {
    const state = await caughtUp(projection);
    expect(state).toEqual((await rebuilt(directory, projection)).state);
  }
  expect((await caughtUp(board)).paid).toBe(36);
});

test('events that were stored and not acknowledged come again, and are not applied twice', async () => {
  const state = await caughtUp(board);
  // As after a kill between the file and the acknowledgement: the follower is back at the first event.
  const follower = Wal.follow<OrderEvents>(logIn(directory), 'first', { ...LOG_OPTIONS, name: board.name });
  await follower.next();
  await follower.return();
  await take(41, 41);
  expect(await caughtUp(board)).toEqual({ ...state, paid: state.paid + 1 });
});

test('a projection whose file was removed begins again', async () => {
  const state = await caughtUp(sales);
  rmSync(join(directory, 'projections', 'sales.json'));
  expect(await caughtUp(sales)).toEqual(state);
});

test('one process keeps a projection: another one is refused', async () => {
  const follower = Wal.follow<OrderEvents>(logIn(directory), 'first', { ...LOG_OPTIONS, name: board.name });
  await follower.next();
  const { signal } = new AbortController();
  await expect(project(directory, board, { signal })).rejects.toMatchObject({ code: 'WAL_LOCKED' });
  expect(await projected(directory, board)).toBeUndefined();
  await follower.return();
  expect(await caughtUp(board)).toEqual((await rebuilt(directory, board)).state);
});

test('the log keeps what a projection has not stored', async () => {
  await caughtUp(board);
  const before = await rebuilt(directory, board);
  await take(41, 200);
  await using wal = await Wal.open<OrderEvents>(logIn(directory), {
    ...LOG_OPTIONS,
    segmentBytes: 8192,
    blockBytes: 512,
  });
  const { keptFor } = await wal.truncateBefore(wal.lastLsn + 1);
  expect(keptFor).toMatchObject([{ name: 'board' }]);
  expect(wal.firstLsn).toBeLessThanOrEqual(before.lsn + 1);
  await wal.shutdown();
  const { paid } = await caughtUp(board);
  expect(paid).toBe(before.state.paid + 96);
});

test('rebuilding tells how far it is, and replaces what was stored', async () => {
  await caughtUp(sales);
  const file = join(directory, 'projections', 'sales.json');
  const right = readFileSync(file, 'utf8');
  writeFileSync(file, JSON.stringify({ lsn: JSON.parse(right).lsn, state: { articles: {}, unpaid: {} } }));
  const seen: WalProgress[] = [];
  await replaceProjected(directory, sales, await rebuilt(directory, sales, (progress) => void seen.push(progress)));
  expect(readFileSync(file, 'utf8')).toBe(right);
  const last = seen.at(-1);
  expect(last?.bytes).toBe(last?.totalBytes);
  expect(last?.records, 'those of other types are counted, too').toBe(40 * 2 + 10 + 24);
});
