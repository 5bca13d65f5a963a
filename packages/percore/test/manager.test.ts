import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PerCoreCheckpoint, PerCoreRecovery, type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY } from './support/logs.js';

const open = (io: StorageIo, cores: PerCoreWalConfig['cores'], more: Partial<PerCoreWalConfig> = {}) =>
  PerCoreWalManager.open({ directory: DIRECTORY, cores, io, ...more });

/** The entries in the logs, by default those after the last checkpoint. */
async function found(io: StorageIo, from: 'first' | 'checkpoint' = 'checkpoint'): Promise<unknown[]> {
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
  return contentsOf(recovery.entries({ from }));
}

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('writers, epochs, checkpoints and merged recovery', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const manager = await PerCoreWalManager.open({ directory, cores: 3, io, segmentBytes: 16 * 1024 });
    expect([manager.coreIds, manager.epoch, manager.lastCheckpoint]).toEqual([[0, 1, 2], 1, undefined]);
    for (let entry = 0; entry < 90; entry++) manager.writer(entry % 3).appendPut(`k${entry}`, 'x'.repeat(500));
    expect(await manager.endEpoch()).toBe(1);
    manager.writer(1).appendCommit({ orders: 45 }, 7);
    const checkpoint = await manager.checkpoint(() => {});
    expect(manager.lastCheckpoint).toBe(checkpoint);
    manager.writer(2).appendDelete('k0');
    const places = await manager.syncAll();
    expect(places).toEqual(await manager.positions());
    expect(places.map(({ coreId }) => coreId)).toEqual([0, 1, 2]);
    for (const { position, syncedPosition, lastLsn, durableLsn, entriesSinceSync } of places) {
      expect([syncedPosition, durableLsn, entriesSinceSync]).toEqual([position, lastLsn, 0]);
    }
    await manager.close();

    await using recovery = await PerCoreRecovery.open({ directory, io });
    expect(recovery.checkpoint).toEqual(checkpoint);
    expect([recovery.completeEpoch, recovery.lastEpoch]).toEqual([3, 3]);
    expect([recovery.offsets, recovery.watermark]).toEqual([new Map([['orders', 45n]]), 7n]);
    const rest: unknown[] = [];
    for await (const entry of recovery.entries()) if (entry.operation !== 'epochBarrier') rest.push(entry.operation);
    expect(rest).toEqual(['delete']);
  });
});

test('real files: the logs of the cores, the lock and the manifest', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const manager = await PerCoreWalManager.open({ directory, cores: [4, 9], io: 'sync-fs' });
  await manager.close();
  expect(readdirSync(directory).sort()).toEqual(['LOCK', 'core-4', 'core-9', 'manifest']);
  const same = await PerCoreWalManager.open({ directory, cores: [9, 4], io: 'sync-fs' });
  expect(same.coreIds).toEqual([4, 9]);
  await expect(PerCoreWalManager.open({ directory, cores: 1, io: 'sync-fs' })).rejects.toEqual(coded('WAL_LOCKED'));
  await expect(PerCoreRecovery.open({ directory, io: 'sync-fs' })).rejects.toEqual(coded('WAL_LOCKED'));
  await same.close();
});

describe('recovery', () => {
  test('merges by epoch, time, core and sequence', async () => {
    const io = createMemoryStorageIo();
    const clock = new ManualTime();
    const manager = await open(io, 3, { now: clock.now });
    manager.writer(2).appendPut('a', '');
    manager.writer(0).appendPut('b', '');
    manager.writer(2).appendPut('c', '');
    clock.time += 1;
    manager.writer(1).appendPut('d', '');
    clock.time += 1;
    manager.writer(0).appendPut('e', '');
    await manager.endEpoch();
    clock.time -= 2;
    manager.writer(1).appendPut('f', '');
    manager.writer(2).appendPut('g', '');
    await manager.close();
    const keys = (await found(io)).map((content) => (content as string[])[1]);
    // The clocks of core 1 and 2 must not be earlier than what they have written.
    expect(keys).toEqual(['b', 'a', 'c', 'd', 'e', 'f', 'g']);
  });

  test('takes the entries of an incomplete epoch, or drops them for good', async () => {
    for (const incomplete of ['take', 'leave'] as const) {
      const disk = new SimulatedDisk();
      const manager = await open(disk.createStorageIo(), 2);
      manager.writer(0).appendPut('complete', '0');
      manager.writer(1).appendPut('complete', '1');
      await manager.endEpoch();
      manager.writer(0).appendPut('only here', '0');
      manager.writer(1).appendPut('lost', '1');
      await manager.writer(0).sync();
      const after = disk.crash('none');

      const io = after.createStorageIo();
      {
        await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, incomplete });
        expect([recovery.completeEpoch, recovery.lastEpoch]).toEqual([1, 2]);
        const contents = contentsOf(recovery.entries());
        const here = incomplete === 'take' ? [['put', 'only here', '0']] : [];
        expect(contents).toEqual([['put', 'complete', '0'], ['put', 'complete', '1'], ...here]);
        expect(recovery.statistics[0]).toMatchObject({
          puts: contents.length - 1,
          entriesLeft: incomplete === 'take' ? 0 : 1,
        });
      }
      const again = await open(io, 2, { incomplete });
      expect(again.epoch).toBe(3);
      again.writer(1).appendPut('new', '1');
      await again.close();
      const contents = await found(io);
      expect(contents.length).toBe(incomplete === 'take' ? 4 : 3);
      expect(contents.at(-1)).toEqual(['put', 'new', '1']);
    }
  });

  test('reads up to an epoch', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    for (let epoch = 1; epoch <= 4; epoch++) {
      manager.writer(0).appendPut(`epoch ${epoch}`, '');
      manager.writer(0).appendCommit({ source: epoch }, epoch * 10);
      if (epoch === 2) await manager.checkpoint(() => {});
      else await manager.endEpoch();
    }
    await manager.close();
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, toEpoch: 3 });
    expect(contentsOf(recovery.entries())).toEqual([
      ['put', 'epoch 3', ''],
      ['commit', { source: 3n }, 30n],
    ]);
    expect([recovery.offsets.get('source'), recovery.watermark]).toEqual([3n, 30n]);
    await recovery.close();
    const before = PerCoreRecovery.open({ directory: DIRECTORY, io, toEpoch: 1 });
    await expect(before).rejects.toEqual(coded('WAL_TRUNCATED', { limit: 2 }));
    expect(() => recovery.entries()).toThrow(coded('WAL_CLOSED'));
  });

  test('returns offsets and watermark of all cores together, also across checkpoints', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 3);
    manager.writer(0).appendCommit({ a: 10, b: 5 }, 100);
    manager.writer(1).appendCommit({ c: 7 }, 80);
    await manager.checkpoint(() => {});
    manager.writer(0).appendCommit({ a: 11 });
    manager.writer(2).appendCommit({ b: 6 }, 90);
    await manager.close();
    const again = await open(io, 2, {
      recover: (recovery) => {
        expect(recovery.offsets).toEqual(
          new Map([
            ['a', 11n],
            ['b', 6n],
            ['c', 7n],
          ]),
        );
        expect(recovery.watermark).toBe(80n);
      },
    });
    expect(again.writer(0).committed).toEqual({
      offsets: new Map([
        ['a', 11n],
        ['b', 5n],
      ]),
      watermark: 100n,
    });
    // Core 2 is retired, and its watermark no longer holds back the others.
    again.writer(0).appendCommit({}, 200);
    again.writer(1).appendCommit({}, 150);
    await again.close();
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
    expect([recovery.watermark, recovery.offsets.get('b')]).toEqual([150n, 6n]);
  });

  test('reports what it found in each log', async () => {
    const disk = new SimulatedDisk();
    const manager = await open(disk.createStorageIo(), 2);
    const writer = manager.writer(1);
    writer.appendPut('key', 'value');
    writer.appendDelete('key');
    writer.appendCheckpoint(3);
    writer.appendCommit({ a: 1 });
    await manager.endEpoch();
    writer.appendPut('torn', 'x'.repeat(3000));
    writer.flushSync();
    const after = disk.crash(({ kind, offset }) => kind !== 'sector' || offset < 5120);
    using recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io: after.createStorageIo() });
    expect(recovery.statistics[1]).toMatchObject({
      coreId: 1,
      entries: 6,
      puts: 1,
      deletes: 1,
      checkpoints: 1,
      commits: 1,
      barriers: 2,
      bytes: 11,
      firstLsn: 1,
      lastLsn: 6,
      barrierEpoch: 1,
      retired: false,
      cleanlyClosed: false,
    });
    expect(recovery.statistics[1]?.cutBytes).toBeGreaterThan(0);
    expect(recovery.statistics[0]).toMatchObject({ coreId: 0, entries: 2, barriers: 2, cutBytes: 0 });
  });

  test('an error of recover makes open fail, and nothing is dropped', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 1);
    manager.writer(0).appendPut('a', '1');
    await manager.close();
    const recover = (): never => {
      throw new Error('no snapshot');
    };
    await expect(open(io, 1, { recover })).rejects.toThrow('no snapshot');
    expect(await found(io)).toEqual([['put', 'a', '1']]);
  });
});

describe('a checkpoint', () => {
  test('covers every entry of its epoch, and no later one, however late it is recorded', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(0).appendPut('before', '');
    const seen: PerCoreCheckpoint[] = [];
    const made = await manager.checkpoint(async (checkpoint) => {
      seen.push(checkpoint);
      manager.writer(0).appendPut('meanwhile', '');
      manager.writer(0).appendCommit({ later: 1 });
      await manager.syncAll();
    });
    expect(seen).toEqual([made]);
    expect(made).toMatchObject({ id: 1, epoch: 1 });
    await manager.close();
    expect(await found(io)).toEqual([
      ['put', 'meanwhile', ''],
      ['commit', { later: 1n }, undefined],
    ]);
    expect(made.cores[0]?.committed.offsets.size).toBe(0);
  });

  test('whose snapshot fails leaves the previous one, and its id is not used again', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(0).appendPut('a', '');
    const first = await manager.checkpoint(() => {});
    manager.writer(1).appendPut('b', '');
    const failing = manager.checkpoint(() => Promise.reject(new Error('disk of the snapshot is full')));
    await expect(failing).rejects.toThrow('disk of the snapshot is full');
    expect(manager.lastCheckpoint).toBe(first);
    await manager.close();
    {
      await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
      expect([recovery.checkpoint?.id, recovery.pendingCheckpoint?.id]).toEqual([1, 2]);
      expect(contentsOf(recovery.entries())).toEqual([['put', 'b', '']]);
    }
    const again = await open(io, 2);
    expect((await again.checkpoint(() => {})).id).toBe(3);
    await again.close();
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
    expect([recovery.checkpoint?.id, recovery.pendingCheckpoint]).toEqual([3, undefined]);
  });

  test('removes segments in every log', async () => {
    const io = createSyncFsStorageIo();
    const directory = join(temporaryDirectory(), 'log');
    const manager = await PerCoreWalManager.open({ directory, cores: 2, io, segmentBytes: 16 * 1024 });
    for (let entry = 0; entry < 100; entry++) manager.writer(entry % 2).appendPut(`k${entry}`, 'x'.repeat(1000));
    await manager.syncAll();
    const sizeOf = (coreId: number): number =>
      readdirSync(join(directory, `core-${coreId}`))
        .filter((name) => name.startsWith('wal-'))
        .reduce((sum, name) => sum + statSync(join(directory, `core-${coreId}`, name)).size, 0);
    const before = [sizeOf(0), sizeOf(1)];
    await manager.checkpoint(() => {});
    expect(sizeOf(0)).toBeLessThan((before[0] as number) / 2);
    expect(sizeOf(1)).toBeLessThan((before[1] as number) / 2);
    expect(await manager.truncate()).toMatchObject({ segmentsDeleted: 0 });
    await manager.close();
  });

  test('runs after earlier calls, one at a time', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    const order: string[] = [];
    await Promise.all([
      manager.endEpoch().then((epoch) => order.push(`epoch ${epoch}`)),
      manager.checkpoint(() => order.push('snapshot')).then(({ epoch }) => order.push(`checkpoint ${epoch}`)),
      manager.endEpoch().then((epoch) => order.push(`epoch ${epoch}`)),
    ]);
    // Epochs do not wait for a snapshot.
    expect(order).toEqual(['epoch 1', 'snapshot', 'epoch 3', 'checkpoint 2']);
    await manager.close();
  });
});

test('reset discards every entry and every offset; epochs and LSNs continue', async () => {
  const io = createMemoryStorageIo();
  const manager = await open(io, 2);
  manager.writer(0).appendPut('a', '1');
  manager.writer(1).appendCommit({ source: 4 }, 1);
  await manager.reset();
  manager.writer(0).appendPut('b', '2');
  const { lastLsn } = manager.writer(0);
  await manager.close();
  expect(await found(io, 'first')).toEqual([['put', 'b', '2']]);
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
  expect([recovery.offsets.size, recovery.watermark]).toEqual([0, undefined]);
  expect(recovery.statistics[0]?.lastLsn).toBeGreaterThanOrEqual(lastLsn);
});

describe('other cores than at the last opening', () => {
  test('more of them, and fewer: nothing is lost, and epochs do not wait for retired cores', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(0).appendPut('0', 'first');
    manager.writer(1).appendPut('1', 'first');
    await manager.close();
    const more = await open(io, 4);
    more.writer(3).appendPut('3', 'second');
    await more.close();
    const fewer = await open(io, [0, 5]);
    expect(() => fewer.writer(1)).toThrow(coded('ERR_OUT_OF_RANGE'));
    fewer.writer(5).appendPut('5', 'third');
    await fewer.endEpoch();
    fewer.writer(0).appendPut('0', 'third');
    await fewer.close();
    const keys = (await found(io)).map((content) => (content as string[]).slice(1).join(' '));
    expect(keys).toEqual(['0 first', '1 first', '3 second', '5 third', '0 third']);
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, incomplete: 'leave' });
    expect(recovery.completeEpoch).toBe(recovery.lastEpoch);
    expect(recovery.statistics.map(({ coreId, retired }) => [coreId, retired])).toEqual([
      [0, false],
      [1, true],
      [2, true],
      [3, true],
      [5, false],
    ]);
  });

  test('a checkpoint empties the logs of retired cores, and a core can be added again', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(1).appendPut('1', 'first');
    await manager.close();
    const fewer = await open(io, 1);
    await fewer.checkpoint(() => {});
    await fewer.close();
    expect(await found(io, 'first')).toEqual([]);
    const back = await open(io, 2);
    back.writer(1).appendPut('1', 'back');
    await back.endEpoch();
    await back.close();
    expect(await found(io)).toEqual([['put', '1', 'back']]);
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
    expect(recovery.statistics.map(({ retired }) => retired)).toEqual([false, false]);
  });
});

describe('missing or damaged files are reported', () => {
  async function made(): Promise<string> {
    const directory = join(temporaryDirectory(), 'log');
    const manager = await PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs' });
    manager.writer(0).appendPut('a', '1');
    manager.writer(1).appendPut('b', '1');
    await manager.checkpoint(() => {});
    manager.writer(1).appendPut('c', '1');
    await manager.close();
    return directory;
  }
  const recovering = (directory: string): Promise<unknown> => PerCoreRecovery.open({ directory, io: 'sync-fs' });

  test('a missing log of a core', async () => {
    const directory = await made();
    rmSync(join(directory, 'core-1'), { recursive: true });
    await expect(recovering(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'missing-core' }));
    await expect(PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs' })).rejects.toEqual(coded('WAL_CORRUPT'));
  });

  test('a log of a core that ends before the checkpoint', async () => {
    const directory = await made();
    rmSync(join(directory, 'core-1'), { recursive: true });
    const other = join(temporaryDirectory(), 'log');
    await (await PerCoreWalManager.open({ directory: other, cores: 2, io: 'sync-fs' })).close();
    const { cpSync } = await import('node:fs');
    cpSync(join(other, 'core-1'), join(directory, 'core-1'), { recursive: true });
    await expect(recovering(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'checkpoint' }));
  });

  test('a damaged manifest', async () => {
    const directory = await made();
    writeFileSync(join(directory, 'manifest'), 'no manifest');
    await expect(recovering(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'checksum' }));
  });

  test('records that are not entries', async () => {
    const directory = await made();
    const { SegmentedWal } = await import('@walstack/segmented');
    const log = SegmentedWal.openSync({ directory: join(directory, 'core-0'), io: 'sync-fs' });
    log.append('not an entry');
    log.closeSync();
    await expect(recovering(directory)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'entry' }));
  });

  test('no log at all', async () => {
    const directory = join(temporaryDirectory(), 'log');
    await expect(recovering(directory)).rejects.toEqual(coded('WAL_NOT_FOUND'));
    const config = { directory, cores: 2, io: 'sync-fs', create: false } as const;
    await expect(PerCoreWalManager.open(config)).rejects.toEqual(coded('WAL_NOT_FOUND'));
    expect(() => statSync(directory)).toThrow('ENOENT');
  });
});

describe('closing', () => {
  test('makes everything durable and complete, once, and later calls are rejected', async () => {
    const disk = new SimulatedDisk();
    const manager = await open(disk.createStorageIo(), 2);
    const writer = manager.writer(1);
    writer.appendPut('a', '1');
    await Promise.all([manager.close(), manager.close()]);
    await manager[Symbol.asyncDispose]();
    for (const call of [
      () => manager.endEpoch(),
      () => manager.syncAll(),
      () => manager.positions(),
      () => manager.reset(),
    ]) {
      await expect(call()).rejects.toEqual(coded('WAL_CLOSED'));
    }
    expect(() => writer.appendPut('b', '1')).toThrow(coded('WAL_CLOSED'));
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io: disk.crash().createStorageIo() });
    expect(contentsOf(recovery.entries())).toEqual([['put', 'a', '1']]);
    expect(recovery.completeEpoch).toBe(recovery.lastEpoch);
    expect(recovery.statistics.every(({ cleanlyClosed }) => cleanlyClosed)).toBe(true);
  });

  test('after a failure releases everything, and throws it', async () => {
    const disk = new SimulatedDisk();
    const manager = await open(disk.createStorageIo(), 2);
    manager.writer(0).appendPut('a', '1');
    disk.failWhen(({ kind }) => (kind === 'datasync' ? 'EIO' : undefined));
    await expect(manager.endEpoch()).rejects.toEqual(coded('WAL_IO_FAILED'));
    disk.failWhen(undefined);
    await expect(manager.close()).rejects.toEqual(coded('WAL_IO_FAILED'));
    await (await open(disk.createStorageIo(), 2)).close();
  });
});

describe('wrong arguments', () => {
  const io = createMemoryStorageIo();

  test.each<readonly [string, object, string]>([
    ['no cores', { cores: 0 }, 'ERR_OUT_OF_RANGE'],
    ['cores that are not a number', { cores: '2' }, 'ERR_INVALID_ARG_TYPE'],
    ['the same core twice', { cores: [1, 1] }, 'ERR_OUT_OF_RANGE'],
    ['a negative id', { cores: [-1] }, 'ERR_OUT_OF_RANGE'],
    ['an unknown value of incomplete', { incomplete: 'keep' }, 'ERR_OUT_OF_RANGE'],
    ['recover that is not a function', { recover: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', { core: 2 }, 'ERR_INVALID_ARG_TYPE'],
    ['an option of recovery that would drop acknowledged entries', { toEpoch: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['an option of the log of a core', { coreId: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['an option that checkpoints replace', { retainBytes: 1 }, 'ERR_INVALID_ARG_TYPE'],
    ['a backend that is not a StorageIo', { io: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['workers without a program', { workers: {}, io: 'sync-fs' }, 'ERR_INVALID_ARG_TYPE'],
    ['workers with a backend of this thread', { workers: { run: { module: 'x' } } }, 'ERR_INVALID_ARG_VALUE'],
    [
      'workers with a clock of this thread',
      { workers: { run: { module: 'x' } }, io: 'sync-fs', now: () => 1 },
      'ERR_INVALID_ARG_VALUE',
    ],
  ])('%s', async (_what, options, code) => {
    const config = { directory: '/arguments', cores: 2, io, ...options } as PerCoreWalConfig;
    await expect(PerCoreWalManager.open(config)).rejects.toEqual(coded(code));
    expect(() => io.list('/arguments')).toThrow(coded('WAL_NOT_FOUND'));
  });
});

test('a log that a crash left before its first entry takes no part', async () => {
  const io = createMemoryStorageIo();
  await (await open(io, 1)).close();
  const { SegmentedWal } = await import('@walstack/segmented');
  SegmentedWal.openSync({ directory: `${DIRECTORY}/core-5`, coreId: 5, io }).closeSync();
  const manager = await open(io, 1);
  // Its lock is free.
  SegmentedWal.openSync({ directory: `${DIRECTORY}/core-5`, coreId: 5, io }).closeSync();
  await manager.close();
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, incomplete: 'leave' });
  expect(recovery.completeEpoch).toBe(recovery.lastEpoch);
});

test('with a key ring nothing is on the disk in the clear, and reading fails without it', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const { KeyRing } = await import('@walstack/codec');
  const keyRing = KeyRing.of({ id: 1, key: new Uint8Array(32).fill(7) });
  const config = { directory, cores: 2, io: 'sync-fs', keyRing, compression: { codec: 'deflate' } } as const;
  const manager = await PerCoreWalManager.open(config);
  manager.writer(0).appendPut('secret key', 'secret value '.repeat(50));
  await manager.checkpoint(() => {});
  manager.writer(1).appendPut('secret key', 'secret value '.repeat(50));
  await manager.close();
  for (const coreId of [0, 1]) {
    const folder = join(directory, `core-${coreId}`);
    for (const name of readdirSync(folder)) expect(readFileSync(join(folder, name)).includes('secret')).toBe(false);
  }
  await expect(PerCoreRecovery.open({ directory, io: 'sync-fs' })).rejects.toEqual(coded('WAL_BAD_KEY'));
  await using recovery = await PerCoreRecovery.open({ directory, io: 'sync-fs', keyRing });
  expect(contentsOf(recovery.entries())).toEqual([['put', 'secret key', 'secret value '.repeat(50)]]);
});

test('the time of entries does not decrease after a checkpoint either, whatever the clock returns', async () => {
  const io = createMemoryStorageIo();
  const clock = new ManualTime();
  const manager = await open(io, 2, { now: clock.now });
  manager.writer(0).appendPut('a', '1');
  await manager.checkpoint(() => {});
  await manager.close();
  clock.time -= 60_000;
  const again = await open(io, 2, { now: clock.now });
  again.writer(0).appendPut('b', '2');
  await again.close();
  expect(await found(io, 'first')).toEqual([
    ['put', 'a', '1'],
    ['put', 'b', '2'],
  ]);
});

test('a manifest whose sync failed is durable once the log is open', async () => {
  const disk = new SimulatedDisk();
  const manager = await open(disk.createStorageIo(), 2);
  manager.writer(0).appendPut('a', '1');
  await manager.checkpoint(() => {});
  let syncs = 0;
  disk.failWhen(({ kind, path }) =>
    kind === 'sync-directory' && path === DIRECTORY && ++syncs === 2 ? 'failing-sync' : undefined,
  );
  await expect(manager.checkpoint(() => {})).rejects.toEqual(coded('WAL_IO_FAILED'));
  disk.failWhen(undefined);
  disk.kill();
  const again = await open(disk.createStorageIo(), 2);
  expect(again.lastCheckpoint?.id).toBe(2);
  const io = disk.crash('none').createStorageIo();
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
  expect(recovery.checkpoint?.id).toBe(2);
});
