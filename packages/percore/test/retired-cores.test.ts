import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { CoreWalWriter, PerCoreRecovery, PerCoreWalManager } from '@walstack/percore';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { CoreWalWriter as OwnWriter } from '../src/core/core-wal-writer.js';
import { SharedEpochs as OwnEpochs } from '../src/core/epochs/epochs.js';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { openLocalCore } from './support/local-core.js';
import { DIRECTORY, open, SMALL } from './support/logs.js';

const openStandalone = (io: StorageIo, coreId: number): CoreWalWriter =>
  CoreWalWriter.openSync(coreId, DIRECTORY, { io, ...SMALL });

function recovered(
  io: StorageIo,
  incomplete: 'take' | 'leave' = 'leave',
): { complete: number; puts: unknown[]; offsets: ReadonlyMap<string, bigint> } {
  using recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io, incomplete });
  const puts = contentsOf(recovery.entries())
    .filter((content) => (content as string[])[0] === 'put')
    .map((content) => (content as string[])[1]);
  return { complete: recovery.completeEpoch, puts, offsets: recovery.offsets };
}

/** Two cores; then epochs with core 0 only. */
async function retired(io: StorageIo): Promise<string[]> {
  const both = await open(io, 2);
  both.writer(1).appendPut('one', '');
  await both.endEpoch();
  await both.close();
  const manager = await open(io, 1);
  const puts = ['one'];
  for (let epoch = 0; epoch < 5; epoch++) {
    manager.writer(0).appendPut(`zero ${epoch}`, '');
    puts.push(`zero ${epoch}`);
    await manager.endEpoch();
  }
  await manager.close();
  return puts;
}

describe('a retired core', () => {
  test('makes no epoch of other cores incomplete when a standalone writer appends to it', async () => {
    for (const checkpoint of [false, true]) {
      const io = createMemoryStorageIo();
      let puts = await retired(io);
      if (checkpoint) {
        const manager = await open(io, 1);
        await manager.checkpoint(() => {});
        manager.writer(0).appendPut('behind', '');
        await manager.endEpoch();
        await manager.close();
        puts = ['behind'];
      }
      const { complete } = recovered(io);
      const writer = openStandalone(io, 1);
      writer.appendPut('alone', '');
      await writer.close();
      const found = recovered(io);
      expect(found.complete).toBe(complete);
      expect([...found.puts].sort()).toEqual(['alone', ...puts].sort());
      // Added again by the manager, epochs wait for it again.
      const manager = await open(io, 2, { incomplete: 'leave' });
      manager.writer(1).appendPut('back', '');
      expect(await manager.endEpoch()).toBeGreaterThan(complete);
      manager.writer(0).appendPut('incomplete', '');
      await manager.syncAll();
      expect(manager.lastCheckpoint === undefined).toBe(!checkpoint);
      await manager.close();
      expect([...recovered(io).puts].sort()).toEqual(['alone', 'back', 'incomplete', ...puts].sort());
    }
  });

  test('does not revive its superseded offsets when it takes part again', async () => {
    const io = createMemoryStorageIo();
    const both = await open(io, 2);
    both.writer(1).appendCommit({ source: 100, other: 7 });
    await both.close();
    const one = await open(io, 1);
    one.writer(0).appendCommit({ source: 50 });
    await one.close();
    const expected = new Map([
      ['other', 7n],
      ['source', 50n],
    ]);
    expect(recovered(io).offsets).toEqual(expected);
    for (let life = 0; life < 2; life++) {
      const again = await open(io, 2);
      await again.close();
      expect(recovered(io).offsets).toEqual(expected);
    }
    const again = await open(io, 2);
    const { cores } = await again.checkpoint(() => {});
    expect(cores[1]?.committed.offsets).toEqual(new Map([['other', 7n]]));
    again.writer(1).appendCommit({ source: 60 });
    await again.close();
    expect(recovered(io).offsets).toEqual(expected.set('source', 60n));
  });

  test('does not revive superseded offsets that are in a checkpoint either', async () => {
    const io = createMemoryStorageIo();
    const both = await open(io, 2);
    both.writer(1).appendCommit({ source: 100 });
    await both.close();
    const one = await open(io, 1);
    await one.checkpoint(() => {});
    await one.close();
    const again = await open(io, 2);
    again.writer(0).appendCommit({ source: 50 });
    await again.close();
    expect(recovered(io).offsets).toEqual(new Map([['source', 50n]]));
  });

  test.each([false, true])(
    'has no offsets that others had superseded before a checkpoint (made: %s)',
    async (isMade) => {
      const io = createMemoryStorageIo();
      const both = await open(io, 2);
      both.writer(1).appendCommit({ source: 100, other: 7 });
      await both.endEpoch();
      both.writer(0).appendCommit({ source: 50 });
      if (isMade) await both.checkpoint(() => {});
      await both.close();
      // While both take part, the highest offset counts.
      expect(recovered(io).offsets).toEqual(offsetsOf(100n));
      const one = await open(io, 1);
      await one.close();
      expect(recovered(io).offsets).toEqual(offsetsOf(50n));
      const again = await open(io, 1);
      if (isMade) await again.checkpoint(() => {});
      await again.close();
      expect(recovered(io).offsets).toEqual(offsetsOf(50n));
      const back = await open(io, 2);
      back.writer(1).appendCommit({ source: 60 });
      await back.close();
      expect(recovered(io).offsets).toEqual(offsetsOf(60n));
    },
  );

  test('keeps the offsets of a checkpoint beside a core that no manager had, in earlier epochs of its own', async () => {
    const io = createMemoryStorageIo();
    const both = await open(io, 2);
    await both.endEpoch();
    both.writer(1).appendCommit({ source: 100 });
    await both.checkpoint(() => {});
    await both.close();
    await (await open(io, 1)).close();
    const writer = openStandalone(io, 2);
    writer.appendCommit({ source: 50 });
    writer.closeSync();
    expect(recovered(io, 'take').offsets).toEqual(new Map([['source', 100n]]));
  });
});

const offsetsOf = (source: bigint): ReadonlyMap<string, bigint> =>
  new Map([
    ['source', source],
    ['other', 7n],
  ]);

describe('a reset', () => {
  test('discards the commits of a core that has appended its last barrier', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(1).appendCommit({ source: 100 }, 3);
    manager.writer(1).appendEpochBarrier({ last: true });
    await manager.reset();
    const { cores } = await manager.checkpoint(() => {});
    expect(cores.map(({ committed }) => committed)).toEqual(
      [0, 1].map(() => ({ offsets: new Map(), watermark: undefined })),
    );
    await manager.close();
    expect(recovered(io).offsets.size).toBe(0);
  });

  test('discards the commits of a core that another manager had', async () => {
    const io = createMemoryStorageIo();
    const before = await open(io, 2);
    before.writer(1).appendCommit({ source: 100 }, 3);
    await before.close();
    const manager = await open(io, 1);
    expect(manager.lastCheckpoint).toBeUndefined();
    await manager.reset();
    const { cores } = await manager.checkpoint(() => {});
    expect(cores.flatMap(({ committed }) => [...committed.offsets])).toEqual([]);
    manager.writer(0).appendPut('behind', '');
    await manager.close();
    expect(recovered(io)).toMatchObject({ puts: ['behind'], offsets: new Map() });
  });

  test('keeps commits after its barrier, also before a last barrier that comes meanwhile', async () => {
    const io = createMemoryStorageIo();
    const epochs = OwnEpochs.create(1);
    const core = openLocalCore(1, DIRECTORY, io, epochs);
    const { writer } = core;
    writer.appendCommit({ before: 1, both: 1 });
    epochs.advance();
    const { lsn } = await core.endEpoch(1);
    writer.appendCommit({ both: 2, behind: 3 });
    writer.appendEpochBarrier({ last: true });
    await core.forgetCommitted(lsn);
    const left = new Map([
      ['both', 2n],
      ['behind', 3n],
    ]);
    expect(writer.committed.offsets).toEqual(left);
    epochs.advance();
    expect((await core.endEpoch(2)).committed.offsets).toEqual(left);
    writer.closeSync();
  });
});

test('a last barrier belongs to the epoch that the writer entered, also when the next one begins meanwhile', async () => {
  const io = createMemoryStorageIo();
  const epochs = OwnEpochs.create(1);
  const core = openLocalCore(1, DIRECTORY, io, epochs);
  const { writer } = core;
  writer.appendPut('a', '');
  const append = OwnEpochs.prototype.isAt;
  // Another thread advances it right after it was read.
  OwnEpochs.prototype.isAt = function (low, high) {
    const same = append.call(this, low, high);
    OwnEpochs.prototype.isAt = append;
    epochs.advance();
    return same;
  };
  try {
    writer.appendEpochBarrier({ last: true });
  } finally {
    OwnEpochs.prototype.isAt = append;
  }
  expect(await core.endEpoch(1)).toMatchObject({ retired: true });
  writer.closeSync();
});

describe('a standalone writer', () => {
  test('removes nothing of a log that a manager has used, and that has no checkpoint', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    for (let epoch = 1; epoch <= 6; epoch++) {
      for (const core of [0, 1]) manager.writer(core).appendPut(`${epoch}/${core}`, 'x'.repeat(1200));
      await manager.endEpoch();
    }
    await manager.close();
    const before = recovered(io);
    expect(before.puts.length).toBe(12);
    const writer = openStandalone(io, 1);
    for (let entry = 0; entry < 6; entry++) writer.appendPut('alone', 'x'.repeat(1200));
    await writer.sync();
    await expect(writer.truncateBefore(writer.lastLsn + 1)).rejects.toEqual(coded('WAL_STATE', { state: 'managed' }));
    await writer.close();
    expect(recovered(io)).toEqual(before);
  });

  test('that shares epochs with others leaves them complete when it truncates', () => {
    const io = createMemoryStorageIo();
    const epochs = OwnEpochs.create(1);
    const writers = [0, 1].map((coreId) => OwnWriter.openSync(coreId, DIRECTORY, { io, epochs, ...SMALL }));
    for (let epoch = 1; epoch <= 6; epoch++) {
      for (const writer of writers) writer.appendPut(`${epoch}/${writer.coreId}`, 'x'.repeat(1200));
      epochs.advance();
    }
    const [zero, one] = writers as [OwnWriter, OwnWriter];
    for (const writer of writers) writer.appendPut('7', 'x'.repeat(2000));
    one.truncateBeforeSync(one.lastLsn + 1);
    for (const writer of [zero, one]) writer.closeSync();
    expect(recovered(io)).toMatchObject({ complete: 6, puts: [1, 2, 3, 4, 5, 6].map((epoch) => `${epoch}/0`) });
  });

  test('that has truncated its log can be followed by a manager, whatever fails in between', async () => {
    const io = createMemoryStorageIo();
    const writer = openStandalone(io, 0);
    for (let entry = 0; entry < 30; entry++) writer.appendPut(`k${entry}`, 'x'.repeat(600));
    writer.syncSync();
    expect(writer.truncateBeforeSync(20).segmentsDeleted).toBeGreaterThan(0);
    writer.closeSync();
    const { puts } = recovered(io, 'take');
    expect(puts.length).toBeGreaterThan(5);
    for (let renames = 0; ; renames++) {
      let left = renames;
      const failing = new Proxy(io, {
        get(target, name) {
          const value = Reflect.get(target, name);
          if (typeof value !== 'function') return value;
          return (...given: unknown[]) => {
            if (name === 'rename' && String(given[1]).endsWith('manifest') && left-- === 0) throw new Error('ends');
            return value.apply(target, given);
          };
        },
      });
      let failure: unknown;
      const manager = await open(failing, 2).catch((error) => {
        failure = error;
      });
      if (manager === undefined) expect(failure).toMatchObject({ message: 'ends' });
      else await manager.close();
      expect(recovered(io, 'take').puts).toEqual(puts);
      if (manager !== undefined) {
        expect(renames).toBeGreaterThan(0);
        break;
      }
    }
  });

  test('does not create a log that is lost according to the manifest, in whole or in part', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    await manager.close();
    const old = io.list('/log/core-1').map((name) => [name, read(io, `/log/core-1/${name}`)] as const);
    const again = await open(io, 2);
    for (let entry = 0; entry < 5; entry++) again.writer(1).appendPut('a', 'x'.repeat(1200));
    await again.checkpoint(() => {});
    await again.close();
    remove(io, '/log/core-1');
    const missing = coded('WAL_CORRUPT', { reason: 'missing-core' });
    expect(() => openStandalone(io, 1)).toThrow(missing);
    await expect(CoreWalWriter.open(1, DIRECTORY, { io })).rejects.toEqual(missing);
    for (const [name, bytes] of old) write(io, `/log/core-1/${name}`, bytes);
    const shorter = coded('WAL_CORRUPT', { reason: 'checkpoint' });
    expect(() => openStandalone(io, 1)).toThrow(shorter);
    await expect(open(io, 2)).rejects.toEqual(shorter);
    const other = openStandalone(io, 5);
    other.appendPut('new', '');
    other.closeSync();
  });
});

test('commits of a core before its retirement stay superseded after a checkpoint that it takes part in', async () => {
  const io = createMemoryStorageIo();
  const first = await open(io, 2);
  first.writer(1).appendCommit({ source: 100, other: 7 });
  await first.close();
  await (await open(io, [0])).close();
  const back = await open(io, 2);
  const { cores } = await back.checkpoint(() => {});
  expect(cores[1]).toMatchObject({ retired: false, committedBeforeRetirement: ['source', 'other'] });
  await back.close();
  const later = await open(io, 2);
  later.writer(0).appendCommit({ source: 50 });
  await later.endEpoch();
  await later.close();
  const offsets = [
    ['source', 50n],
    ['other', 7n],
  ];
  for (const checkpoint of [false, true]) {
    await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io });
    expect([...recovery.offsets].sort(([, one], [, two]) => Number(two - one))).toEqual(offsets);
    await recovery.close();
    if (checkpoint) break;
    const manager = await open(io, 2);
    await manager.checkpoint(() => {});
    manager.writer(1).appendCommit({ other: 7 });
    await manager.close();
  }
});

test('a directory with only the manifest is not treated as empty', async () => {
  const directory = join(temporaryDirectory(), 'log');
  await (await PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs' })).close();
  for (const core of [0, 1]) rmSync(join(directory, `core-${core}`), { recursive: true });
  const missing = coded('WAL_CORRUPT', { reason: 'missing-core' });
  expect(() => PerCoreRecovery.openSync({ directory, io: 'sync-fs' })).toThrow(missing);
  await expect(PerCoreRecovery.open({ directory, io: 'sync-fs' })).rejects.toEqual(missing);
  await expect(PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs', create: false })).rejects.toEqual(missing);
});

function read(io: StorageIo, path: string): Uint8Array {
  const file = io.open(path);
  const bytes = new Uint8Array(io.size(file));
  runSync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return bytes;
}

function write(io: StorageIo, path: string, bytes: Uint8Array): void {
  const file = io.open(path, { create: true, truncate: true });
  runSync(io, ioSteps.write(io, file, bytes, 0));
  io.close(file);
}

function remove(io: StorageIo, directory: string): void {
  for (const name of io.list(directory)) runSync(io, ioSteps.remove(io, `${directory}/${name}`));
}
