import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { MessagePort } from 'node:worker_threads';
import { PerCoreRecovery, type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { ringSupport } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';

const module = new URL('./support/programs.mjs', import.meta.url).href;

function open(name: string, more: Partial<PerCoreWalConfig> = {}, options: unknown = {}): Promise<PerCoreWalManager> {
  const directory = join(temporaryDirectory(), 'log');
  return PerCoreWalManager.open({
    directory,
    cores: 2,
    io: 'sync-fs',
    workers: { run: { module, export: name, options } },
    ...more,
  });
}

async function ask(port: MessagePort, question: unknown): Promise<unknown> {
  const answer = once(port, 'message');
  port.postMessage(question);
  return (await answer)[0];
}

const backends = ['sync-fs', 'thread-pool', ...(ringSupport().available ? ['io-uring'] : [])] as const;

describe.each(backends)('writers in worker threads, on %s', (backend) => {
  test('append there, see the epoch, and recovery returns one order', async () => {
    const io = backend as 'sync-fs';
    const manager = await open('obey', { io }, { greeting: 'goodbye' });
    const { directory } = manager;
    const ports = [manager.port(0), manager.port(1)] as const;
    expect(await ask(ports[0], { puts: [['a', '1']] })).toMatchObject({ epoch: 1, lastLsn: 2 });
    await ask(ports[1], { puts: [['b', '1']], commit: { orders: 9 }, sync: true });
    expect(await manager.endEpoch()).toBe(1);
    expect(await ask(ports[1], { puts: [['c', '2']], sync: true })).toMatchObject({ epoch: 2, synced: true });
    const checkpoint = await manager.checkpoint(() => {});
    expect(checkpoint.cores[1]?.committed.offsets).toEqual(new Map([['orders', 9n]]));
    await ask(ports[0], { puts: [['d', '3']] });
    const places = await manager.syncAll();
    expect(places.map(({ coreId, entriesSinceSync }) => [coreId, entriesSinceSync])).toEqual([
      [0, 0],
      [1, 0],
    ]);
    expect(await manager.positions()).toEqual(places);
    expect(() => manager.writer(0)).toThrow(coded('WAL_STATE', { state: 'in-worker' }));
    await manager.close();
    expect(await manager.finished(0)).toBe('goodbye from 0');

    await using recovery = await PerCoreRecovery.open({ directory, io });
    const found = [];
    for await (const entry of recovery.entries({ from: 'first' })) found.push(entry);
    expect(contentsOf(found)).toEqual([
      ['put', 'a', '1'],
      ['put', 'b', '1'],
      ['commit', { orders: 9n }, undefined],
      ['put', 'c', '2'],
      ['put', 'd', '3'],
    ]);
    expect([recovery.completeEpoch, recovery.offsets.get('orders')]).toEqual([recovery.lastEpoch, 9n]);
  });
});

test('epochs and checkpoints run while programs append without end', async () => {
  const manager = await open('busy', { cores: 3, segmentBytes: 64 * 1024 });
  for (let round = 0; round < 5; round++) {
    expect(await manager.endEpoch()).toBe(2 * round + 1);
    expect(await manager.checkpoint(() => {})).toMatchObject({ id: round + 1, epoch: 2 * round + 2 });
  }
  await manager.close();
  for (const coreId of manager.coreIds) expect(await manager.finished(coreId)).toBeGreaterThan(0);
  await using recovery = await PerCoreRecovery.open({ directory: manager.directory, io: 'sync-fs' });
  expect(recovery.checkpoint).toMatchObject({ id: 5, epoch: 10 });
  expect(recovery.completeEpoch).toBe(recovery.lastEpoch);
});

test('backend and clock are made where they are used', async () => {
  const time = 1_700_000_000_000;
  const workers = {
    run: { module, export: 'obey', options: { greeting: '' } },
    configure: { module, export: 'configure', options: { time } },
  };
  const manager = await open('obey', { workers, now: () => 1 });
  await ask(manager.port(1), { puts: [['a', '1']] });
  await manager.close();
  await using recovery = await PerCoreRecovery.open({ directory: manager.directory, io: 'sync-fs' });
  const [put] = [...recovery.entries()].filter(({ operation }) => operation === 'put');
  expect(put?.timestampUs).toBe((time + 1) * 1000);
});

test('an error of a program is reported, and its log continues', async () => {
  const manager = await open('fail');
  await expect(manager.finished(1)).rejects.toMatchObject({
    name: 'RangeError',
    code: 'ERR_NO_INPUT',
    message: 'no input',
  });
  expect(await manager.endEpoch()).toBe(1);
  await manager.close();
});

test('a thread that ends by itself is reported, and everything else is released', async () => {
  const manager = await open('die');
  await expect(manager.finished(0)).rejects.toEqual(coded('WAL_STATE', { state: 'worker-ended' }));
  await expect(manager.endEpoch()).rejects.toEqual(coded('WAL_STATE', { state: 'worker-ended' }));
  await expect(manager.close()).rejects.toEqual(coded('WAL_STATE'));
  await using recovery = await PerCoreRecovery.open({ directory: manager.directory, io: 'sync-fs' });
  expect(recovery.statistics.length).toBe(2);
});

test('the default export is run when none is named', async () => {
  const manager = await open('obey', { workers: { run: { module } } });
  await manager.close();
  expect(await manager.finished(0)).toBeUndefined();
});

test('open fails for a missing program, and for one that is not a function, and releases everything', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const config = { directory, cores: 2, io: 'sync-fs' } as const;
  const running = (run: { module: string; export?: string }) => PerCoreWalManager.open({ ...config, workers: { run } });
  await expect(running({ module: 'file:///nowhere/program.mjs' })).rejects.toMatchObject({
    code: 'ERR_MODULE_NOT_FOUND',
  });
  await expect(running({ module, export: 'nothing' })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await expect(running({ module, export: 'missing' })).rejects.toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  await (await PerCoreWalManager.open(config)).close();
});

test('ports and results belong to workers', async () => {
  const directory = join(temporaryDirectory(), 'log');
  await using manager = await PerCoreWalManager.open({ directory, cores: 1, io: 'sync-fs' });
  expect(() => manager.port(0)).toThrow(coded('WAL_STATE', { state: 'in-thread' }));
  expect(() => manager.finished(0)).toThrow(coded('WAL_STATE', { state: 'in-thread' }));
});

describe('what a program throws', () => {
  test.each(['nothingAtAll', 'noPrototype', 'throwingGetter', 'oddName', 'revokedProxy'])(
    '%s becomes an error of finished, and its thread continues',
    async (name) => {
      const manager = await open(name);
      await expect(manager.finished(0)).rejects.toBeInstanceOf(Error);
      expect(await manager.endEpoch()).toBe(1);
      await manager.close();
    },
  );
});

test('a log that another writer changed before its worker opened it is rejected', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const config = { directory, cores: 2, io: 'sync-fs' } as const;
  const manager = PerCoreWalManager.open({
    ...config,
    workers: {
      run: { module, export: 'obey', options: { greeting: '' } },
      configure: { module, export: 'appendBefore', options: { directory } },
    },
  });
  await expect(manager).rejects.toEqual(coded('WAL_STATE', { state: 'changed' }));
  // The entries of both are in the right order.
  await (await PerCoreWalManager.open(config)).close();
  const recovery = await PerCoreRecovery.open({ directory, io: 'sync-fs' });
  expect(contentsOf(recovery.entries()).length).toBeGreaterThan(0);
  await recovery.close();
});

test.each([['--eval'], ['--no-warnings', '-e']])(
  'writers in worker threads of a program that is in no file, with %s',
  async (...how: string[]) => {
    const config = { directory: join(temporaryDirectory(), 'log'), cores: 2, workers: { run: { module } } };
    const program = `
      import { PerCoreWalManager } from '@walstack/percore';
      const manager = await PerCoreWalManager.open(${JSON.stringify(config)});
      console.log(manager.coreIds.join());
      await manager.close();
    `;
    const cwd = fileURLToPath(new URL('..', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', ...how, program], { cwd });
    expect(stdout).toBe('0,1\n');
  },
);
