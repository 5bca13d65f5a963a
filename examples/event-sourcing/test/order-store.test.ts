import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wal } from '@walstack/wal';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LOG_OPTIONS, logIn, type OrderEvents, TYPES } from '../src/events.js';
import { RefusedError } from '../src/order.js';
import { ConflictError, OrderStore } from '../src/order-store.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'walstack-orders-test-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

/** Calls `f` with the store, opened anew. */
async function withStore<Result>(f: (store: OrderStore) => Promise<Result>): Promise<Result> {
  const store = await OrderStore.open(directory);
  try {
    return await f(store);
  } finally {
    await store.close();
  }
}

const TEA = { do: 'add', article: 'tea', quantity: 2, cents: 435 } as const;

test('commands make events, and an order is what they lead to', async () => {
  await withStore(async (store) => {
    expect(await store.execute('a', { do: 'place', customer: 'Ada' })).toEqual({ version: 1, lsn: 1 });
    await store.execute('a', TEA);
    await store.execute('b', { do: 'place', customer: 'Bea' });
    expect(await store.execute('a', { do: 'pay' })).toEqual({ version: 3, lsn: 4 });
  });
  await withStore(async (store) => {
    expect(store.get('a')).toEqual({ version: 3, status: 'paid', items: 2, cents: 870 });
    expect(store.get('b')).toMatchObject({ version: 1, status: 'placed' });
    expect(store.get('c')).toMatchObject({ version: 0, status: 'none' });
  });
});

test('a command that the order does not allow is refused, and so is one with a wrong value: nothing is appended', async () => {
  await withStore(async (store) => {
    await expect(store.execute('a', { do: 'pay' })).rejects.toThrow(RefusedError);
    await store.execute('a', { do: 'place', customer: 'Ada' });
    await expect(store.execute('a', { do: 'pay' })).rejects.toThrow('without items');
    await expect(store.execute('a', { ...TEA, quantity: 0.5 })).rejects.toMatchObject({ code: 'WAL_BAD_PAYLOAD' });
    await expect(store.execute('no id', { do: 'place', customer: 'Ada' })).rejects.toMatchObject({ reason: 'schema' });
    expect([store.lastLsn, store.get('a').version, store.size]).toEqual([1, 1, 1]);
  });
});

test('of commands that expect the same version one succeeds, also when they come at the same time', async () => {
  await withStore(async (store) => {
    await store.execute('a', { do: 'place', customer: 'Ada' }, 0);
    const outcomes = await Promise.allSettled(Array.from({ length: 5 }, () => store.execute('a', TEA, 1)));
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const errors = outcomes.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
    for (const error of errors) expect(error).toBeInstanceOf(ConflictError);
    expect(errors[0]).toMatchObject({ expectedVersion: 1, version: 2 });
    // Without one they follow each other, each behind the one before.
    const all = await Promise.all(Array.from({ length: 5 }, () => store.execute('a', TEA)));
    expect(all.map(({ version }) => version)).toEqual([3, 4, 5, 6, 7]);
    expect(store.get('a')).toMatchObject({ version: 7, items: 12 });
  });
});

test('events of the earlier form are read as what they would be today, and stay as they are stored', async () => {
  const stored = { kind: 'item-added', order: 'a', version: 2, article: 'tea', quantity: 3, euros: 4.35 };
  const plain = await Wal.open(logIn(directory), { encoding: 'json' });
  await plain.commit({ kind: 'placed', order: 'a', version: 1, customer: 'Ada' }, { type: TYPES.placed });
  await plain.commit(stored, { type: TYPES['item-added'] });
  await plain.shutdown();
  await withStore(async (store) => {
    expect(store.get('a')).toMatchObject({ items: 3, cents: 1305 });
    await store.execute('a', TEA);
    expect(store.get('a')).toMatchObject({ items: 5, cents: 2175 });
  });
  await using typed = await Wal.open<OrderEvents>(logIn(directory), LOG_OPTIONS);
  expect((await typed.read(2))?.payload).toEqual({
    kind: 'item-added',
    order: 'a',
    version: 2,
    article: 'tea',
    quantity: 3,
    cents: 435,
  });
  await typed.shutdown();
  await using again = await Wal.open(logIn(directory), { encoding: 'json' });
  expect((await again.read(2))?.payload).toEqual(stored);
});

test('a snapshot saves reading, and one of another form is not used', async () => {
  const file = join(directory, 'snapshot.json');
  await withStore(async (store) => {
    await store.execute('a', { do: 'place', customer: 'Ada' });
    await store.execute('a', TEA);
    await store.snapshot();
    await store.execute('a', { do: 'pay' });
  });
  const paid = { version: 3, status: 'paid', items: 2, cents: 870 };
  await withStore(async (store) => expect(store.get('a')).toEqual(paid));
  const snapshot = JSON.parse(readFileSync(file, 'utf8'));
  expect(snapshot).toMatchObject({ lsn: 2, orders: [['a', { version: 2, status: 'placed' }]] });
  // What the snapshot says is not read again from the log.
  writeFileSync(file, JSON.stringify({ ...snapshot, orders: [['a', { ...paid, cents: 1, version: 2 }]] }));
  await withStore(async (store) => expect(store.get('a')).toEqual({ ...paid, cents: 1 }));
  writeFileSync(file, JSON.stringify({ ...snapshot, form: 0, orders: [] }));
  await withStore(async (store) => expect(store.get('a')).toEqual(paid));
  // At the end of the log there is nothing to be read behind it.
  await withStore(async (store) => store.snapshot());
  await withStore(async (store) => expect(store.get('a')).toEqual(paid));
});
