import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { KeyValueStore } from '../src/store.js';

const program = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const module = new URL('../dist/store.js', import.meta.url).href;

let directory: string;

beforeEach(() => {
  directory = join(mkdtempSync(join(tmpdir(), 'walstack-kv-test-')), 'store');
});

afterEach(() => rmSync(join(directory, '..'), { recursive: true }));

const entriesOf = (store: KeyValueStore) => Object.fromEntries([...store.keys()].map((key) => [key, store.get(key)]));

const snapshots = (): string[] => readdirSync(directory).filter((name) => name.startsWith('snapshot-'));

const segments = (): number => readdirSync(join(directory, 'log')).filter((name) => name.startsWith('wal-')).length;

test('what was put is there after it was opened again, with snapshots and without', async () => {
  for (const snapshotEvery of [1_000_000, 7]) {
    rmSync(directory, { recursive: true, force: true });
    const store = await KeyValueStore.open(directory, { snapshotEvery });
    await store.put('a', 1);
    await store.putAll([
      ['b', { deep: [true, null] }],
      ['c', 'text'],
    ]);
    await store.delete('a');
    await Promise.all(Array.from({ length: 40 }, (_, index) => store.put(`k${index % 5}`, index)));
    const expected = { b: { deep: [true, null] }, c: 'text', k0: 35, k1: 36, k2: 37, k3: 38, k4: 39 };
    expect(entriesOf(store)).toEqual(expected);
    await store.close();
    expect(snapshots()).toHaveLength(snapshotEvery === 7 ? 1 : 0);
    const again = await KeyValueStore.open(directory);
    expect(entriesOf(again)).toEqual(expected);
    await again.snapshot();
    await again.close();
    const third = await KeyValueStore.open(directory);
    expect(entriesOf(third)).toEqual(expected);
    await third.close();
    expect([snapshots().length, segments()]).toEqual([1, 1]);
  }
});

test('writes of one key that wait at the same time are applied in the order of the log', async () => {
  const store = await KeyValueStore.open(directory);
  await Promise.all(
    Array.from({ length: 500 }, (_, index) => (index % 9 === 0 ? store.delete('key') : store.put('key', index))),
  );
  const now = entriesOf(store);
  await store.close();
  const again = await KeyValueStore.open(directory);
  expect(entriesOf(again)).toEqual(now);
  await again.close();
});

test('batches and single changes that wait at the same time are applied in the order of the log, and are in snapshots', async () => {
  let store = await KeyValueStore.open(directory, { snapshotEvery: 5 });
  for (let round = 0; round < 5; round++) {
    const changes = Array.from({ length: 12 }, (_, index) => {
      const value = `${round}.${index}`;
      if (index % 3 === 0)
        return store.putAll([
          ['key', value],
          [`batch ${index}`, value],
        ]);
      return index % 3 === 1 ? store.put('key', value) : store.put(`single ${index}`, value);
    });
    await Promise.all(changes);
    const now = entriesOf(store);
    expect(now).toMatchObject({ key: `${round}.10`, 'batch 0': `${round}.0`, 'batch 9': `${round}.9` });
    await store.close();
    store = await KeyValueStore.open(directory, { snapshotEvery: 5 });
    expect(entriesOf(store)).toEqual(now);
  }
  await store.close();
});

/** The state behind the first changes of {@link WRITER}. */
function stateBehind(count: number): Record<string, number> {
  const state: Record<string, number> = {};
  for (let number = 1; number <= count; number++) {
    if (number % 7 === 0) delete state[`key ${number % 31}`];
    else state[`key ${number % 31}`] = number;
  }
  return state;
}

/** Makes changes from a number on, 8 at a time, prints each one that is durable, and makes a snapshot behind every 100. */
const WRITER = `
  const { KeyValueStore } = await import(process.argv[1]);
  const store = await KeyValueStore.open(process.argv[2], { snapshotEvery: 100 });
  let number = Number(process.argv[3]);
  for (;;) {
    await Promise.all(Array.from({ length: 8 }, async () => {
      const mine = ++number;
      await (mine % 7 === 0 ? store.delete('key ' + (mine % 31)) : store.put('key ' + (mine % 31), mine));
      process.stdout.write(mine + '\\n');
    }));
  }`;

test('a process that is killed again and again loses nothing that was acknowledged', async () => {
  let count = 0;
  for (let kill = 0; kill < 5; kill++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, module, directory, String(count)]);
    const wanted = count + 100 + Math.floor(Math.random() * 200);
    let acknowledged = count;
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged = Number(line);
      if (acknowledged >= wanted) child.kill('SIGKILL');
    }
    expect(acknowledged).toBeGreaterThanOrEqual(wanted);
    const store = await KeyValueStore.open(directory);
    const found = entriesOf(store);
    await store.close();
    const candidates = Array.from({ length: 9 }, (_, more) => acknowledged + more);
    const behind = candidates.find(
      (number) => JSON.stringify(sorted(stateBehind(number))) === JSON.stringify(sorted(found)),
    );
    expect(behind, `${acknowledged} were acknowledged`).toBeDefined();
    count = behind as number;
  }
  expect(snapshots()).toHaveLength(1);
});

const sorted = (state: object) => Object.entries(state).sort(([a], [b]) => (a < b ? -1 : 1));

test('the command line', () => {
  const run = (...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, ...args, '--data', directory], {
      encoding: 'utf8',
    });
    return { status, stdout, stderr };
  };
  expect(run('put', 'name', 'Ada')).toMatchObject({ status: 0, stdout: '' });
  expect(run('put', 'born', '{"year": 1815}')).toMatchObject({ status: 0 });
  expect(run('get', 'name')).toMatchObject({ status: 0, stdout: 'Ada\n' });
  expect(run('get', 'born')).toMatchObject({ status: 0, stdout: '{"year":1815}\n' });
  expect(run('snapshot')).toMatchObject({ status: 0 });
  expect(run('delete', 'name')).toMatchObject({ status: 0 });
  expect(run('get', 'name')).toMatchObject({ status: 1, stdout: '' });
  expect(run('list')).toMatchObject({ status: 0, stdout: 'born\n' });
  expect(run('fill', '2000').stdout).toMatch(/^2000 puts, each durable: \d+ per second; 2001 keys\n$/);
  expect(run('fill', 'many')).toMatchObject({ status: 2, stderr: expect.stringContaining('not "many"') });
  expect(run('drop')).toMatchObject({ status: 2, stderr: expect.stringContaining('no command "drop"') });
  expect(run('toString')).toMatchObject({ status: 2, stderr: expect.stringContaining('no command "toString"') });
  expect(run('get')).toMatchObject({ status: 2 });
  expect(run('put', 'id', '12345678901234567890')).toMatchObject({ status: 0 });
  expect(run('get', 'id')).toMatchObject({ status: 0, stdout: '12345678901234567890\n' });
  const values = '{"ids":[12345678901234567890],"far":1e400}';
  expect(run('put', 'id', values)).toMatchObject({ status: 0 });
  expect(run('get', 'id')).toMatchObject({ status: 0, stdout: `${values}\n` });
  expect(run('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('pnpm kv put') });
});
