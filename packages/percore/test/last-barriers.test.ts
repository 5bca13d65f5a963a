import { PerCoreRecovery } from '@walstack/percore';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { DIRECTORY, open } from './support/logs.js';

/** Cores that append their last barrier under a manager. */

test('an epoch ends although a core appends its last barrier while its barrier waits for memory', async () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo({ completesInline: false });
  const manager = await open(io, 2, { maxPendingBytes: 1024, markAfterMs: 0 });
  const writer = manager.writer(0);
  for (const value of ['value of some bytes', '']) {
    expect(() => {
      for (;;) writer.appendPut('', value);
    }).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE' }));
  }
  // Has room first, and uses it.
  const left = writer.flush().then(() => writer.appendEpochBarrier({ last: true }));
  expect(await manager.endEpoch()).toBe(1);
  await left;
  expect(writer.barrier).toMatchObject({ epoch: 2 });
  await manager.close();
  const recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io: disk.crash().createStorageIo() });
  expect([recovery.completeEpoch, recovery.statistics[0]?.retired]).toEqual([2, true]);
  recovery.closeSync();
});

test.each([false, true])(
  'the number of an epoch is used once, also where no core took part any more (another core is retired: %s)',
  async (isOneLeftOut) => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    if (isOneLeftOut) await (await open(io, 3)).close();
    const manager = await open(io, 2);
    const first = manager.epoch;
    for (const core of [0, 1]) {
      manager.writer(core).appendPut(`of ${core}`, '');
      manager.writer(core).appendEpochBarrier({ last: true });
    }
    for (let epoch = first; epoch < first + 3; epoch++) expect(await manager.endEpoch()).toBe(epoch);
    const after = disk.crash().createStorageIo();
    const recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io: after, incomplete: 'leave' });
    expect([recovery.completeEpoch, recovery.statistics.map(({ retired }) => retired)]).toEqual([
      first + 2,
      isOneLeftOut ? [true, true, true] : [true, true],
    ]);
    expect([...recovery.entries()].filter(({ operation }) => operation === 'put')).toHaveLength(2);
    recovery.closeSync();
    const next = await open(after, 2);
    expect(next.epoch).toBe(first + 3);
    await next.close();
  },
);

test('a last barrier that is appended again belongs to the checkpoint', async () => {
  const io = createMemoryStorageIo();
  const manager = await open(io, 1, { markAfterMs: 0 });
  const writer = manager.writer(0);
  writer.appendCommit({ source: 7 });
  writer.appendEpochBarrier({ last: true });
  await manager.endEpoch();
  const checkpoint = await manager.checkpoint(() => {});
  expect(checkpoint).toMatchObject({ epoch: 2, cores: [{ lsn: writer.lastLsn, retired: true }] });
  expect(() => writer.appendPut('behind', '')).toThrow(expect.objectContaining({ code: 'WAL_STATE', state: 'left' }));
  await manager.close();
  const recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io });
  expect([recovery.lastEpoch, recovery.offsets]).toEqual([3, new Map([['source', 7n]])]);
  recovery.closeSync();
});
