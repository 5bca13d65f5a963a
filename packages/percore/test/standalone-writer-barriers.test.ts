import { CoreWalWriter, PerCoreRecovery, type PerCoreWalManager } from '@walstack/percore';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY, open, openStandalone, SMALL } from './support/logs.js';

const managed = expect.objectContaining({ code: 'WAL_STATE', state: 'managed' });

/** The keys of complete entries, in any order. */
async function complete(io: StorageIo): Promise<readonly unknown[]> {
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, incomplete: 'leave', ...SMALL });
  const puts: unknown[] = [];
  await recovery.entries().forEach((entry) => {
    if (entry.operation === 'put') puts.push(...contentsOf([entry]).map((content) => (content as string[])[1]));
  });
  return puts.sort();
}

/** Ends epochs with one put each. */
async function epochs(manager: PerCoreWalManager, keys: readonly string[]): Promise<void> {
  for (const key of keys) {
    manager.writer(0).appendPut(key, '');
    await manager.endEpoch();
  }
}

describe('complete epochs stay complete', () => {
  test.each([
    ['before it came under a manager', false],
    ['when it was under one already', true],
  ])('where a standalone writer appended the last barrier of a core, %s', async (_, first) => {
    const io = createMemoryStorageIo();
    if (first) await (await open(io, 2)).close();
    const writer = await openStandalone(io, 1);
    writer.appendPut('alone', '');
    writer.appendEpochBarrier({ last: true });
    await writer.close();
    const manager = await open(io, [0]);
    await epochs(manager, ['a', 'b', 'c']);
    await manager.close();
    expect(await complete(io)).toEqual(['a', 'alone', 'b', 'c']);
    const again = await openStandalone(io, 1);
    again.appendPut('behind', '');
    await again.close();
    expect(await complete(io)).toEqual(expect.arrayContaining(['a', 'alone', 'b', 'c']));
    const back = await open(io, 2);
    await epochs(back, ['d']);
    await back.close();
    expect(await complete(io)).toEqual(['a', 'alone', 'b', 'behind', 'c', 'd']);
  });

  test.each([true, false])('when openAt is asked for a position before them: core retired %s', async (hasLeft) => {
    const io = createMemoryStorageIo();
    const first = await open(io, 2);
    const position = first.writer(1).appendPut('one', '');
    await epochs(first, ['a']);
    await first.close();
    const second = await open(io, hasLeft ? [0] : 2);
    await epochs(second, ['b', 'c']);
    await second.close();
    const before = io.list(`${DIRECTORY}/core-1`);
    await expect(CoreWalWriter.openAt(1, DIRECTORY, position, { io, ...SMALL })).rejects.toEqual(managed);
    expect(() => CoreWalWriter.openAtSync(1, DIRECTORY, 0, { io, ...SMALL })).toThrow(managed);
    expect(io.list(`${DIRECTORY}/core-1`)).toEqual(before);
    // Entries that a standalone writer appended after them may be dropped.
    const writer = await openStandalone(io, 1);
    const end = writer.position;
    writer.appendPut('dropped', '');
    await writer.close();
    const back = await CoreWalWriter.openAt(1, DIRECTORY, end, { io, ...SMALL });
    expect(back.lastLsn).toBe(writer.lastLsn - 1);
    await back.close();
    expect(await complete(io)).toEqual(['a', 'b', 'c', 'one']);
  });
});

describe('a truncation by a standalone writer', () => {
  test('removes no commits that only non-durable entries repeat', async () => {
    for (const blocking of [false, true]) {
      const disk = new SimulatedDisk();
      const io = disk.createStorageIo({ completesInline: blocking });
      const writer = await openStandalone(io, 3);
      writer.epoch = 7;
      writer.appendCommit({ source: 12 });
      writer.appendPut('a', 'x'.repeat(3500));
      writer.appendPut('b', 'x'.repeat(3500));
      await writer.sync();
      writer.appendCommit({ source: 18 });
      const lsn = writer.lastLsn;
      const { segmentsDeleted } = blocking ? writer.truncateBeforeSync(lsn) : await writer.truncateBefore(lsn);
      expect(segmentsDeleted).toBeGreaterThan(0);
      const after = disk.crash('none').createStorageIo();
      const again = await openStandalone(after, 3);
      expect(again.committed.offsets).toEqual(new Map([['source', 18n]]));
      expect(again.epoch).toBe(7);
      await again.close();
    }
  });

  test('needs no space for pending entries when the remaining ones are durable', async () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    const writer = await openStandalone(io, 3);
    for (const key of ['a', 'b', 'c']) writer.appendPut(key, 'x'.repeat(3500));
    writer.appendCommit({ source: 18 });
    const { lastLsn } = writer;
    await writer.sync();
    disk.capacityBytes = disk.usedBytes + 2048;
    for (const key of ['d', 'e', 'f']) writer.appendPut(key, 'x'.repeat(3500));
    expect((await writer.truncateBefore(lastLsn)).segmentsDeleted).toBeGreaterThan(0);
    expect(writer.failure).toBeUndefined();
    await writer.close();
  });
});
