import { CoreWalWriter, PerCoreRecovery, SharedEpochs } from '@walstack/percore';
import { createMemoryStorageIo, ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import { exploreCrashes, SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { readManifest } from '../src/recovery/manifest.js';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY, damage, open, openStandalone, SMALL } from './support/logs.js';

interface Recovered {
  readonly complete: number;
  readonly puts: readonly unknown[];
  readonly offsets: ReadonlyMap<string, bigint>;
}

async function recovered(io: StorageIo, incomplete: 'take' | 'leave' = 'take'): Promise<Recovered> {
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, incomplete, ...SMALL });
  const contents: unknown[] = [];
  await recovery.entries().forEach((entry) => void contents.push(...contentsOf([entry])));
  const puts = contents.map((content) => content as string[]).filter(([operation]) => operation === 'put');
  return { complete: recovery.completeEpoch, puts: puts.map(([, key]) => key), offsets: recovery.offsets };
}

/** Two cores and four epochs, each complete, with offsets; the first is in a checkpoint. */
async function managed(io: StorageIo): Promise<void> {
  const manager = await open(io, 2);
  for (let epoch = 1; epoch <= 4; epoch++) {
    for (const core of [0, 1]) {
      manager.writer(core).appendPut(`${epoch}/${core}`, 'x'.repeat(1200));
      manager.writer(core).appendCommit({ [`source ${core}`]: epoch });
    }
    if (epoch === 1) await manager.checkpoint(() => {});
    else await manager.endEpoch();
  }
  await manager.close();
}

const removeManifest = (io: StorageIo): Promise<void> => runAsync(io, ioSteps.remove(io, `${DIRECTORY}/manifest`));

describe('a standalone writer on a log of a manager', () => {
  test('truncates because of a checkpoint only when no crash can undo the checkpoint', async () => {
    for (const blocking of [false, true]) {
      const disk = new SimulatedDisk();
      const io = disk.createStorageIo();
      const manager = await open(io, 2);
      for (let epoch = 1; epoch <= 4; epoch++) {
        for (const core of [0, 1]) manager.writer(core).appendPut(`${epoch}/${core}`, 'x'.repeat(1200));
        if (epoch === 1) await manager.checkpoint(() => {});
        else await manager.endEpoch();
      }
      let syncs = 0;
      disk.failWhen(({ kind, path }) =>
        kind === 'sync-directory' && path === DIRECTORY && ++syncs === 2 ? 'EIO' : undefined,
      );
      const unknown = coded('WAL_IO_FAILED', { reason: 'outcome-unknown' });
      await expect(manager.checkpoint(() => {})).rejects.toEqual(unknown);
      disk.failWhen(undefined);
      disk.kill();
      const other = disk.createStorageIo({ completesInline: blocking });
      const writer = await openStandalone(other, 0);
      const place = (await runAsync(other, readManifest(other, DIRECTORY)))?.checkpoint?.cores[0];
      const before = (place?.lsn ?? 0) + 1;
      const truncated = blocking ? writer.truncateBeforeSync(before) : await writer.truncateBefore(before);
      expect(truncated.segmentsDeleted).toBeGreaterThan(0);
      await recovered(disk.crash('none').createStorageIo());
    }
  });

  test('does not salvage it: only a salvage of the per-core log can decide what other logs lose', async () => {
    const io = createMemoryStorageIo();
    await managed(io);
    await damage(io, 1, '3/1');
    const before = io.list(`${DIRECTORY}/core-1`);
    await expect(openStandalone(io, 1, { recoveryMode: 'salvage' })).rejects.toEqual(coded('WAL_CORRUPT'));
    expect(io.list(`${DIRECTORY}/core-1`)).toEqual(before);
    await expect(open(io, 2)).rejects.toEqual(coded('WAL_CORRUPT'));
    await (await openStandalone(io, 0, { recoveryMode: 'salvage' })).close();
  });

  test('does not open it during an unfinished salvage', async () => {
    const io = createMemoryStorageIo();
    await managed(io);
    await damage(io, 1, '3/1');
    const ended = open(io, 2, {
      recoveryMode: 'salvage',
      recover: () => {
        throw new Error('ends');
      },
    });
    await expect(ended).rejects.toMatchObject({ message: 'ends' });
    const refused = coded('WAL_CORRUPT', { reason: 'salvage' });
    for (const core of [0, 1, 2]) {
      for (const recoveryMode of ['strict', 'salvage'] as const) {
        await expect(openStandalone(io, core, { recoveryMode })).rejects.toEqual(refused);
        expect(() => CoreWalWriter.openSync(core, DIRECTORY, { io, recoveryMode })).toThrow(refused);
      }
    }
    expect(io.list(DIRECTORY)).not.toContain('core-2');
    await (await open(io, 2, { recoveryMode: 'salvage' })).close();
    await (await openStandalone(io, 1)).close();
  });

  test('fails when the manifest is missing, and changes nothing', async () => {
    const io = createMemoryStorageIo();
    await managed(io);
    await removeManifest(io);
    const missing = coded('WAL_CORRUPT', { reason: 'missing-manifest' });
    for (const core of [0, 1]) {
      await expect(openStandalone(io, core)).rejects.toEqual(missing);
      await expect(CoreWalWriter.openAt(core, DIRECTORY, 0, { io, ...SMALL })).rejects.toEqual(missing);
    }
    await expect(open(io, 2)).rejects.toEqual(missing);
  });
});

test('a position to open at drops nothing while a log cannot be read whose manifest is missing', async () => {
  const disk = new SimulatedDisk();
  const before = disk.createStorageIo();
  await managed(before);
  await removeManifest(before);
  const openedAt = (): Promise<CoreWalWriter> => {
    disk.kill();
    return CoreWalWriter.openAt(0, DIRECTORY, 0, { io: disk.createStorageIo(), ...SMALL });
  };
  let failing = 0;
  for (let reads = 0; reads === failing; ) {
    failing++;
    reads = 0;
    disk.failWhen(({ kind }) => (kind === 'read' && ++reads === failing ? 'EIO' : undefined));
    await expect(openedAt()).rejects.toThrow();
    disk.failWhen(undefined);
    await expect(openedAt()).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'missing-manifest' }));
  }
  expect(failing).toBeGreaterThan(5);
});

describe('a standalone writer that truncates', () => {
  test('keeps offsets of complete epochs until the epoch in which it appends them again is complete', async () => {
    for (const blocking of [false, true]) {
      const io = createMemoryStorageIo();
      const epochs = SharedEpochs.create(1);
      const [zero, one] = [await openStandalone(io, 0, { epochs }), await openStandalone(io, 1, { epochs })];
      zero.appendCommit({ source: 10 }, 5);
      one.appendPut('1/1', '');
      epochs.advance();
      for (let entry = 0; entry < 8; entry++) zero.appendPut(`2/${entry}`, 'x'.repeat(1000));
      zero.appendCommit({ source: 11 });
      one.appendPut('2/1', '');
      await one.sync();
      const before = zero.lastLsn - 1;
      await zero.sync();
      if (blocking) zero.truncateBeforeSync(before);
      else await zero.truncateBefore(before);
      expect((await zero.truncateBefore(before)).segmentsDeleted).toBe(0);
      await zero.close();
      const again = await openStandalone(io, 0, { epochs });
      await again.truncateBefore(again.lastLsn + 1);
      expect(again.committed).toEqual({ offsets: new Map([['source', 11n]]), watermark: 5n });
      await again.close();
      await one.close();
      expect((await recovered(io, 'leave')).offsets).toEqual(new Map([['source', 10n]]));
      // The next epoch has its barrier: the entries of the one before are no longer needed.
      epochs.advance();
      const last = await openStandalone(io, 0, { epochs });
      last.appendPut('3', '');
      await last.sync();
      expect((await last.truncateBefore(last.lastLsn)).segmentsDeleted).toBeGreaterThan(0);
      expect(last.committed).toEqual({ offsets: new Map([['source', 11n]]), watermark: 5n });
      await last.close();
    }
  });

  test.each([false, true])('leaves a retired core as it is, opened again: %s', async (openedAgain) => {
    const io = createMemoryStorageIo();
    const epochs = SharedEpochs.create(1);
    const [zero, one] = [await openStandalone(io, 0, { epochs }), await openStandalone(io, 1, { epochs })];
    for (let entry = 0; entry < 8; entry++) one.appendPut('1/1', 'x'.repeat(1000));
    one.appendCommit({ source: 100 });
    one.appendEpochBarrier({ last: true });
    await one.sync();
    for (let epoch = 1; epoch <= 5; epoch++) {
      zero.appendPut(`${epoch}/0`, '');
      zero.appendCommit({ source: epoch });
      epochs.advance();
    }
    zero.appendEpochBarrier();
    await zero.close();
    let writer = one;
    if (openedAgain) {
      await one.close();
      writer = await openStandalone(io, 1);
    }
    expect((await writer.truncateBefore(writer.lastLsn + 1)).segmentsDeleted).toBeGreaterThan(0);
    await writer.close();
    expect(await recovered(io, 'leave')).toMatchObject({ complete: 5, offsets: new Map([['source', 5n]]) });
  });

  test('can drop all remaining entries, whatever crash comes in between', async () => {
    await exploreCrashes<'truncated'>(
      async (life) => {
        const writer = await openStandalone(life.io, 0);
        for (let entry = 0; entry < 8; entry++) writer.appendPut(`k${entry}`, 'x'.repeat(1000));
        await writer.sync();
        expect((await writer.truncateBefore(writer.lastLsn)).segmentsDeleted).toBeGreaterThan(0);
        await writer.close();
        life.note('truncated');
        await (await CoreWalWriter.openAt(0, DIRECTORY, 7168, { io: life.io, ...SMALL })).close();
      },
      async (life) => {
        if (life.notes.length === 0) return;
        const { puts } = await recovered(life.io);
        expect(['k6,k7', '']).toContain(String(puts));
        await (await openStandalone(life.io, 0)).close();
        await (await CoreWalWriter.openAt(0, DIRECTORY, 7168, { io: life.io, ...SMALL })).close();
        const manager = await open(life.io, 1);
        manager.writer(0).appendPut('new', '');
        await manager.close();
        expect((await recovered(life.io)).puts).toEqual(['new']);
      },
      { crashesInCheck: 0 },
    );
  });

  test('can be followed by a manager after a salvage that keeps nothing of its log', async () => {
    const io = createMemoryStorageIo();
    const writer = await openStandalone(io, 0);
    for (let entry = 0; entry < 8; entry++) writer.appendPut(`k${entry}`, 'x'.repeat(1000));
    await writer.sync();
    await writer.truncateBefore(writer.lastLsn);
    await writer.close();
    await damage(io, 0, 'k6');
    await expect(openStandalone(io, 0)).rejects.toEqual(coded('WAL_CORRUPT'));
    const salvaged = await openStandalone(io, 0, { recoveryMode: 'salvage' });
    expect(salvaged.recovery.records).toBe(0);
    await salvaged.close();
    expect((await recovered(io)).puts).toEqual([]);
    await (await open(io, 1)).close();
  });
});
