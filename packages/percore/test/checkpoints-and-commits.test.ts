import {
  CoreWalWriter,
  PerCoreRecovery,
  type PerCoreWalConfig,
  PerCoreWalManager,
  PerCoreWalReader,
} from '@walstack/percore';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { SharedEpochs as OwnEpochs } from '../src/core/epochs/epochs.js';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { openLocalCore } from './support/local-core.js';
import { DIRECTORY } from './support/logs.js';

const open = (io: StorageIo, cores: PerCoreWalConfig['cores'], more: Partial<PerCoreWalConfig> = {}) =>
  PerCoreWalManager.open({ directory: DIRECTORY, cores, io, blockBytes: 512, ...more });

const recovering = (io: StorageIo): PerCoreRecovery => PerCoreRecovery.openSync({ directory: DIRECTORY, io });

describe('a managed writer that appends its last barrier', () => {
  test('is not waited for, and all its entries are in the checkpoint', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 3);
    const writer = manager.writer(1);
    writer.appendPut('a', '1');
    writer.appendCommit({ source: 4 });
    writer.appendEpochBarrier({ last: true });
    expect(() => writer.appendPut('b', '1')).toThrow(coded('WAL_STATE', { state: 'left' }));
    expect(await manager.endEpoch()).toBe(1);
    expect(await manager.endEpoch()).toBe(2);
    const { cores } = await manager.checkpoint(() => {});
    expect(cores.map(({ retired }) => retired)).toEqual([false, true, false]);
    expect(cores[1]?.committed.offsets).toEqual(new Map([['source', 4n]]));
    manager.writer(0).appendPut('c', '0');
    await manager.close();
    const recovery = recovering(io);
    expect(contentsOf(recovery.entries())).toEqual([['put', 'c', '0']]);
    expect([recovery.completeEpoch, recovery.offsets.get('source')]).toEqual([recovery.lastEpoch, 4n]);
    recovery.closeSync();
    const again = await open(io, 3);
    again.writer(1).appendPut('d', '1');
    await again.close();
  });

  test('in an epoch that has just begun: the previous one keeps its end', async () => {
    const io = createMemoryStorageIo();
    const epochs = OwnEpochs.create(1);
    const core = openLocalCore(0, DIRECTORY, io, epochs);
    const { writer } = core;
    writer.appendPut('before', '');
    epochs.advance();
    writer.appendPut('behind', '');
    writer.appendEpochBarrier({ last: true });
    expect(await core.endEpoch(1)).toMatchObject({ lsn: 2, retired: false });
    expect(await core.endEpoch(2)).toMatchObject({ lsn: 4, retired: true });
    expect(await core.endEpoch(3)).toMatchObject({ lsn: 4, retired: true });
    await core.close();

    const idle = openLocalCore(1, DIRECTORY, io, OwnEpochs.from(epochs.buffer));
    epochs.advance();
    idle.writer.appendEpochBarrier({ last: true });
    expect(await idle.endEpoch(2)).toMatchObject({ lsn: 1, retired: false });
    expect(await idle.endEpoch(3)).toMatchObject({ lsn: 2, retired: true });
    await idle.close();
  });
});

describe('inside a snapshot', () => {
  test('epochs end, and segments are removed', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    const done: unknown[] = [];
    await manager.checkpoint(async () => {
      done.push(await manager.endEpoch(), await manager.truncate(), await manager.endEpoch());
    });
    expect(done).toEqual([2, expect.objectContaining({ segmentsDeleted: 0 }), 3]);
    expect(manager.lastCheckpoint).toMatchObject({ id: 1, epoch: 1 });
    await manager.close();
    recovering(io).closeSync();
  });

  test('neither another checkpoint nor a reset is possible, and afterwards both are', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    const refused = coded('WAL_STATE', { state: 'checkpointing' });
    await manager.checkpoint(async () => {
      await expect(manager.checkpoint(() => {})).rejects.toEqual(refused);
      await expect(manager.reset()).rejects.toEqual(refused);
    });
    await manager.checkpoint(() => {});
    await manager.reset();
    expect(manager.lastCheckpoint?.id).toBe(3);
    await manager.close();
  });

  test('the manager is closed, and the checkpoint is not made', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(0).appendPut('a', '0');
    const made = manager.checkpoint(() => manager.close());
    await expect(made).rejects.toEqual(coded('WAL_CLOSED'));
    const recovery = recovering(io);
    expect([recovery.checkpoint, recovery.pendingCheckpoint?.id]).toEqual([undefined, 1]);
    expect(contentsOf(recovery.entries())).toEqual([['put', 'a', '0']]);
    recovery.closeSync();
    const again = await open(io, 2);
    expect((await again.checkpoint(() => {})).id).toBe(2);
    await again.close();
  });
});

describe('a clock that returns no valid time', () => {
  test.each([Number.NaN, -1, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER, 1e13, -1e300])(
    '%d: the log opens again',
    async (time) => {
      const io = createMemoryStorageIo();
      const manager = await open(io, 2);
      manager.writer(0).appendPut('a', '0');
      await manager.close();
      const odd = await open(io, 2, { now: () => time });
      odd.writer(0).appendPut('b', '0');
      odd.writer(1).appendPut('c', '1');
      await odd.checkpoint(() => {});
      odd.writer(1).appendPut('d', '1');
      await odd.close();
      const again = await open(io, 2);
      await again.checkpoint(() => {});
      await again.close();
      recovering(io).closeSync();
    },
  );
});

test('a checkpoint is followed by all entries after its barrier, however early they were appended', async () => {
  const io = createMemoryStorageIo();
  const manager = await open(io, 1);
  const writer = manager.writer(0);
  const behind: string[] = [];
  let made: { readonly epoch: number } | undefined;
  const checkpoint = manager
    .checkpoint(() => {})
    .then((each) => {
      made = each;
    });
  for (let entry = 0; made === undefined && entry < 10_000; entry++) {
    writer.appendPut(`${entry}`, '');
    if (writer.epoch > 1) behind.push(`${entry}`);
    // Between any two steps of the checkpoint that the event loop can interleave.
    await Promise.resolve();
    if (entry % 10 === 9) await new Promise(setImmediate);
  }
  await checkpoint;
  expect([made?.epoch, behind.length > 0]).toEqual([1, true]);
  await manager.close();
  const recovery = recovering(io);
  expect(contentsOf(recovery.entries()).map((content) => (content as string[])[1])).toEqual(behind);
  recovery.closeSync();
});

test('the checkpoint of a reset has no snapshot', async () => {
  const io = createMemoryStorageIo();
  const manager = await open(io, 2);
  const made = await manager.checkpoint(() => {});
  expect(made.snapshot).toBe(true);
  await manager.reset();
  await manager.close();
  const recovery = recovering(io);
  expect(recovery.checkpoint).toMatchObject({ id: 2, snapshot: false });
  recovery.closeSync();
});

test('a checkpoint with an unknown outcome reports that, and its id is not used again', async () => {
  const disk = new SimulatedDisk();
  const manager = await open(disk.createStorageIo(), 2);
  let syncs = 0;
  disk.failWhen(({ kind, path }) =>
    kind === 'sync-directory' && path === DIRECTORY && ++syncs === 2 ? 'EIO' : undefined,
  );
  const unknown = coded('WAL_IO_FAILED', { reason: 'outcome-unknown' });
  await expect(manager.checkpoint(() => {})).rejects.toEqual(unknown);
  disk.failWhen(({ kind, path }) => (kind === 'sync-directory' && path === DIRECTORY ? 'EIO' : undefined));
  await expect(manager.reset()).rejects.toEqual(unknown);
  disk.failWhen(undefined);
  expect((await manager.checkpoint(() => {})).id).toBe(3);
  await manager.close();
});

describe('a missing manifest', () => {
  test.each([8192, 1 << 20])('is reported, with segments of %d bytes', async (segmentBytes) => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2, { segmentBytes });
    for (let entry = 0; entry < 40; entry++) manager.writer(entry % 2).appendPut('k', 'x'.repeat(500));
    await manager.checkpoint(() => {});
    await manager.close();
    runSync(io, ioSteps.remove(io, `${DIRECTORY}/manifest`));
    const missing = coded('WAL_CORRUPT', { reason: 'missing-manifest' });
    await expect(open(io, 2)).rejects.toEqual(missing);
    expect(() => recovering(io)).toThrow(missing);
  });

  test('is reported for a log that a manager emptied, and not for one that only a standalone writer had', async () => {
    const io = createMemoryStorageIo();
    await (await open(io, 2)).close();
    const manager = await open(io, [0]);
    manager.writer(0).appendPut('a', '');
    await manager.reset();
    await manager.close();
    runSync(io, ioSteps.remove(io, `${DIRECTORY}/manifest`));
    const missing = coded('WAL_CORRUPT', { reason: 'missing-manifest' });
    expect(() => recovering(io)).toThrow(missing);
    // The log of the retired core is empty, and proves the manifest all the same.
    expect(() => CoreWalWriter.openSync(1, DIRECTORY, { io })).toThrow(missing);

    const other = createMemoryStorageIo();
    const writer = CoreWalWriter.openSync(0, DIRECTORY, { io: other });
    writer.appendPut('a', '');
    await writer.truncateBefore(2);
    writer.closeSync();
    await (await open(other, 2)).close();
  });
});

describe('a standalone writer', () => {
  test('that truncates everything keeps epoch, offsets and watermark', async () => {
    const io = createMemoryStorageIo();
    // So small that the puts are in a segment of their own.
    const config = { io, blockBytes: 512, segmentBytes: 2048 };
    for (const life of [0, 1, 2]) {
      const writer = CoreWalWriter.openSync(0, DIRECTORY, config);
      if (life > 0) {
        expect(writer.epoch).toBe(life + 7);
        expect(writer.committed).toEqual({
          offsets: new Map([
            ['a', 5n],
            ['b', 6n],
          ]),
          watermark: 7n,
        });
      }
      if (life === 0) {
        writer.epoch = 7;
        writer.appendCommit({ a: 5 }, 7);
        writer.appendPut('x', 'y'.repeat(3000));
        writer.appendCommit({ b: 6 });
      }
      // The commits appended again belong to a complete epoch now: nothing older is needed.
      writer.appendEpochBarrier();
      await writer.truncateBefore(writer.lastLsn + 1);
      expect(writer.committed).toEqual({
        offsets: new Map([
          ['a', 5n],
          ['b', 6n],
        ]),
        watermark: 7n,
      });
      writer.closeSync();
    }
    const puts = CoreWalWriter.openSync(0, DIRECTORY, config);
    puts.closeSync();
    using recovery = recovering(io);
    expect(
      contentsOf(recovery.entries({ from: 'first' })).every((content) => (content as string[])[0] === 'commit'),
    ).toBe(true);
  });

  test('truncates as far as possible on a full disk, and does not fail', async () => {
    const disk = new SimulatedDisk();
    const writer = await CoreWalWriter.open(0, DIRECTORY, {
      io: disk.createStorageIo(),
      blockBytes: 512,
      segmentBytes: 4096,
    });
    writer.appendCommit({ old: 1 });
    for (let entry = 0; entry < 20; entry++) writer.appendPut('k', 'x'.repeat(900));
    writer.appendCommit({ old: 2 });
    await writer.sync();
    await writer.truncateBefore(writer.lastLsn);
    expect(writer.failure).toBeUndefined();
    await writer.close();
  });

  test('does not remove what the last checkpoint of a manager needs', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2, { segmentBytes: 4096 });
    manager.writer(0).appendCommit({ source: 3 }, 4);
    const start = manager.writer(0).position;
    await manager.checkpoint(() => {});
    for (let entry = 0; entry < 20; entry++) manager.writer(0).appendPut('k', 'x'.repeat(500));
    const managed = coded('WAL_STATE', { state: 'managed' });
    await expect(manager.writer(0).truncateBefore(10)).rejects.toEqual(managed);
    expect(() => manager.writer(0).truncateBeforeSync(10)).toThrow(managed);
    await manager.close();
    await expect(CoreWalWriter.openAt(0, DIRECTORY, start, { io })).rejects.toEqual(managed);
    const writer = await CoreWalWriter.open(0, DIRECTORY, { io });
    expect(writer.committed).toEqual({ offsets: new Map([['source', 3n]]), watermark: 4n });
    await expect(writer.truncateBefore(writer.lastLsn)).rejects.toEqual(managed);
    writer.appendPut('alone', '');
    await writer.close();
    const again = await open(io, 2);
    await again.close();
  });

  test('whose log gets a manager is accepted, and all its entries are taken', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(0).appendPut('a', '0');
    await manager.checkpoint(() => {});
    await manager.endEpoch();
    await manager.close();
    const writer = await CoreWalWriter.open(5, DIRECTORY, { io });
    writer.appendPut('alone', '5');
    await writer.close();
    for (const cores of [2, [0, 5]]) {
      const again = await open(io, cores, { incomplete: 'leave' });
      await again.close();
      const recovery = recovering(io);
      expect(contentsOf(recovery.entries())).toEqual([['put', 'alone', '5']]);
      recovery.closeSync();
    }
  });
});

describe('commits', () => {
  test('of a retired core do not override later commits of other cores', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 2);
    manager.writer(0).appendCommit({ kept: 1, again: 2 });
    manager.writer(1).appendCommit({ again: 100, own: 7 });
    await manager.checkpoint(() => {});
    await manager.close();
    const without = await open(io, [0], {
      recover: ({ offsets }) => expect(offsets.get('again')).toBe(100n),
    });
    // Read again from an earlier offset.
    without.writer(0).appendCommit({ again: 50 });
    await without.endEpoch();
    const offsets = new Map([
      ['kept', 1n],
      ['again', 50n],
      ['own', 7n],
    ]);
    const look = (): void => {
      const recovery = recovering(io);
      expect(recovery.offsets).toEqual(offsets);
      recovery.closeSync();
    };
    await without.close();
    look();
    const checkpointed = await open(io, [0]);
    await checkpointed.checkpoint(() => {});
    await checkpointed.checkpoint(() => {});
    await checkpointed.close();
    look();
    const back = await open(io, 2);
    await back.checkpoint(() => {});
    await back.close();
    look();
  });

  test('have no watermark while a core with offsets has none', async () => {
    const io = createMemoryStorageIo();
    const manager = await open(io, 3);
    manager.writer(0).appendCommit({ a: 1 }, 100);
    manager.writer(1).appendCommit({ b: 1 });
    await manager.close();
    const recovery = recovering(io);
    expect([recovery.watermark, recovery.offsets.size]).toEqual([undefined, 2]);
    recovery.closeSync();
  });

  test('keep names apart: a byte-order mark is part of a name, lone surrogates are rejected', () => {
    const io = createMemoryStorageIo();
    const writer = CoreWalWriter.openSync(0, DIRECTORY, { io });
    writer.appendCommit({ a: 5, '\ufeffa': 9 });
    const refused = coded('ERR_OUT_OF_RANGE');
    expect(() => writer.appendCommit({ 'x\ud800': 1 })).toThrow(refused);
    expect(() => writer.appendCommit(new Map([['\udc00', 1]]))).toThrow(refused);
    expect(() => writer.appendPut('\ud800', '')).toThrow(refused);
    expect(() => writer.appendPut('', '\udfff')).toThrow(refused);
    expect(() => writer.appendDelete('\ud800')).toThrow(refused);
    expect(writer.lastLsn).toBe(1);
    writer.closeSync();
    const again = CoreWalWriter.openSync(0, DIRECTORY, { io });
    expect(again.committed.offsets).toEqual(
      new Map([
        ['a', 5n],
        ['\ufeffa', 9n],
      ]),
    );
    again.closeSync();
  });

  test('cost in proportion to the sources they name, however many sources there are', () => {
    const io = createMemoryStorageIo();
    const writer = CoreWalWriter.openSync(0, DIRECTORY, { io });
    const sources = Array.from({ length: 2000 }, (_, index) => `s${index}`);
    writer.appendCommit(Object.fromEntries(sources.map((source) => [source, 0])));
    // Maps are copied by their constructor or entry by entry: both are counted.
    let sets = 0;
    const { set } = Map.prototype;
    Map.prototype.set = function (key, value) {
      sets++;
      return set.call(this, key, value);
    };
    try {
      for (const [index, source] of sources.entries()) writer.appendCommit({ [source]: index });
    } finally {
      Map.prototype.set = set;
    }
    expect(sets).toBeLessThan(4 * sources.length);
    expect(writer.committed.offsets.get('s1999')).toBe(1999n);
    writer.closeSync();
  });
});

test('checkpoints name cores in the order of their ids, retired ones included', async () => {
  const io = createMemoryStorageIo();
  await (await open(io, 3)).close();
  const manager = await open(io, [2]);
  const { cores } = await manager.checkpoint(() => {});
  expect(cores.map(({ coreId }) => coreId)).toEqual([0, 1, 2]);
  await manager.close();
});

test('a value can have as many bytes as maxPayloadBytes allows', async () => {
  const io = createMemoryStorageIo();
  const manager = await open(io, 1, { maxPayloadBytes: 100 });
  manager.writer(0).appendPut('a', 'x'.repeat(100));
  expect(() => manager.writer(0).appendPut('a', 'x'.repeat(101))).toThrow(
    coded('WAL_TOO_LARGE', { actual: 101, limit: 100 }),
  );
  await manager.close();
  const writer = await CoreWalWriter.open(3, DIRECTORY, { io, maxPayloadBytes: 10 });
  writer.appendPut('a', 'x'.repeat(10));
  expect(() => writer.appendPut('a', 'x'.repeat(11))).toThrow(coded('WAL_TOO_LARGE', { actual: 11, limit: 10 }));
  await writer.close();
  using reader = PerCoreWalReader.openSync(3, DIRECTORY, { io, maxPayloadBytes: 10 });
  expect([...reader].length).toBe(1);
});

test('on a full disk a per-core log opens, also after a crash, returns its entries, and continues when there is space', async () => {
  for (const crash of [false, true]) {
    let disk = new SimulatedDisk();
    const clock = new ManualTime();
    const manager = await open(disk.createStorageIo(), 2, { now: clock.now });
    manager.writer(0).appendPut('a', '0');
    await manager.checkpoint(() => {});
    manager.writer(1).appendPut('b', '1');
    await manager.syncAll();
    if (crash) disk = disk.crash('none');
    else await manager.close();
    const { capacityBytes } = disk;
    disk.capacityBytes = disk.usedBytes;
    let contents: unknown[] = [];
    const full = await open(disk.createStorageIo(), 2, {
      recover: async (recovery) => {
        contents = contentsOf(recovery.entries());
      },
    });
    expect(contents).toEqual([['put', 'b', '1']]);
    if (crash) expect(() => full.writer(1).appendPut('c', '1')).toThrow(coded('WAL_NO_SPACE'));
    disk.capacityBytes = capacityBytes;
    expect(await full.truncate()).toMatchObject({ segmentsDeleted: 0 });
    expect(await full.endEpoch()).toBe(full.epoch - 1);
    full.writer(1).appendPut('c', '1');
    await full.checkpoint(() => {});
    full.writer(0).appendPut('d', '0');
    await full.close();
    const recovery = recovering(disk.crash('none').createStorageIo());
    expect([recovery.checkpoint?.id, contentsOf(recovery.entries())]).toEqual([2, [['put', 'd', '0']]]);
    recovery.closeSync();
  }
});

test('a reset that finds no room for its manifest forgets nothing', async () => {
  const disk = new SimulatedDisk();
  const manager = await open(disk.createStorageIo(), 2);
  manager.writer(1).appendCommit({ source: 4 }, 1);
  disk.failWhen(({ kind, path }) => (kind === 'write' && path.includes('manifest') ? 'ENOSPC' : undefined));
  await expect(manager.reset()).rejects.toEqual(coded('WAL_NO_SPACE'));
  disk.failWhen(undefined);
  const { cores } = await manager.checkpoint(() => {});
  expect(cores[1]?.committed.offsets).toEqual(new Map([['source', 4n]]));
  await manager.close();
  const recovery = recovering(disk.crash('none').createStorageIo());
  expect(recovery.offsets.get('source')).toBe(4n);
  recovery.closeSync();
});

test('an epoch ends where there was no room for the segment of its barrier, and is now', async () => {
  const disk = new SimulatedDisk();
  const manager = await open(disk.createStorageIo(), 2);
  manager.writer(1).appendPut('a', '1');
  await manager.syncAll();
  const after = disk.crash('none');
  after.capacityBytes = 0;
  const full = await open(after.createStorageIo(), 2);
  await expect(full.endEpoch()).rejects.toEqual(coded('WAL_NO_SPACE'));
  after.capacityBytes = Number.POSITIVE_INFINITY;
  expect(await full.endEpoch()).toBe(full.epoch - 1);
  await full.close();
});
