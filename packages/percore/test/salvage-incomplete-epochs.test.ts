import { CoreWalWriter, PerCoreRecovery, type PerCoreWalConfig } from '@walstack/percore';
import { createMemoryStorageIo, ioSteps, runAsync, type StorageIo } from '@walstack/storage-io';
import { exploreCrashes, SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY, damage, open, SMALL, writeEpochs } from './support/logs.js';

const openBoth = (io: StorageIo, more: Partial<PerCoreWalConfig> = {}) => open(io, 2, more);

const recovering = (io: StorageIo, more: object = {}): Promise<PerCoreRecovery> =>
  PerCoreRecovery.open({ directory: DIRECTORY, io, ...SMALL, ...more });

async function putsOf(recovery: PerCoreRecovery): Promise<string[]> {
  const contents: string[][] = [];
  await recovery.entries().forEach((entry) => void contents.push(...(contentsOf([entry]) as string[][])));
  return contents.filter(([operation]) => operation === 'put').map(([, key]) => key as string);
}

async function puts(io: StorageIo, more: object = {}): Promise<string[]> {
  await using recovery = await recovering(io, more);
  return await putsOf(recovery);
}

/** A log with complete epochs, the first of them in a checkpoint. */
const made = async (io: StorageIo): Promise<void> => writeEpochs(await openBoth(io));

const text = async (io: StorageIo, path: string): Promise<string> => {
  const file = io.open(path);
  const bytes = new Uint8Array(io.size(file));
  await runAsync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return Buffer.from(bytes).toString('latin1');
};

describe('a salvage without a manager', () => {
  test("that took everything is not undone by a later opening with 'leave'", async () => {
    const io = createMemoryStorageIo();
    await made(io);
    await damage(io, 1, '3/1');
    const all = ['2/0', '2/1', '3/0', '4/0'];
    expect(await puts(io, { recoveryMode: 'salvage' })).toEqual(all);
    expect(await puts(io, { incomplete: 'leave' })).toEqual(all);
    const manager = await openBoth(io, { incomplete: 'leave' });
    expect(manager.salvage).toBeUndefined();
    manager.writer(0).appendPut('incomplete', '');
    await manager.syncAll();
    const copy = createMemoryStorageIo();
    await copyAll(io, copy, DIRECTORY);
    await manager.close();
    // Later epochs can be incomplete as before.
    expect(await puts(copy, { incomplete: 'leave' })).toEqual(all);
    expect(await puts(io, { incomplete: 'leave' })).toEqual([...all, 'incomplete']);
  });

  test("quarantines what a later opening with 'leave' drops, when that was decided", async () => {
    const io = createMemoryStorageIo();
    await made(io);
    await damage(io, 1, '3/1');
    {
      await using recovery = await recovering(io, { recoveryMode: 'salvage', incomplete: 'leave' });
      expect(await putsOf(recovery)).toEqual(['2/0', '2/1']);
      expect(recovery.salvage?.quarantine).toContain(`${DIRECTORY}/quarantine/core-0`);
    }
    await (await openBoth(io, { incomplete: 'leave' })).close();
    expect(await puts(io)).toEqual(['2/0', '2/1']);
    const kept = `${DIRECTORY}/quarantine/core-0`;
    const copies = await Promise.all(io.list(kept).map((name) => text(io, `${kept}/${name}`)));
    for (const key of ['3/0', '4/0']) expect(copies.join('')).toContain(key);
  });
});

test('the losses of a salvage are reported wherever it is killed, or are in quarantine when it has ended', async () => {
  await exploreCrashes<'damaged' | 'reported'>(
    async (life) => {
      await made(life.io);
      await damage(life.io, 1, '3/1');
      life.note('damaged');
      const manager = await openBoth(life.io, { recoveryMode: 'salvage' });
      life.note('reported');
      await manager.close();
    },
    async (life) => {
      if (life.notes.at(-1) !== 'damaged') return;
      const manager = await openBoth(life.io, { recoveryMode: 'salvage' });
      const lost = [{ coreId: 1, fromLsn: 8, toLsn: 14 }];
      if (manager.salvage !== undefined) {
        expect(manager.salvage.lost).toEqual(lost);
        expect(manager.salvage.damage.map(({ reason }) => reason)).toEqual(['hole']);
        expect(manager.salvage.quarantine.length).toBe(1);
      }
      await manager.close();
      const kept = `${DIRECTORY}/quarantine`;
      const reports = life.io.list(kept).filter((name) => name.startsWith('salvage-'));
      const texts = await Promise.all(reports.map((name) => text(life.io, `${kept}/${name}`)));
      // A salvage that a crash interrupted is followed by a complete one.
      expect(texts.some((report) => report.includes(JSON.stringify(lost)))).toBe(true);
      expect(await puts(life.io)).toEqual(['2/0', '2/1', '3/0', '4/0']);
    },
    { crashesInCheck: 0 },
  );
}, 60_000);

test('a log whose first manager is killed before it writes a manifest opens correctly', async () => {
  await exploreCrashes(
    async (life) => {
      await (await openBoth(life.io)).close();
    },
    async (life) => {
      const writer = await CoreWalWriter.open(0, DIRECTORY, { io: life.io, ...SMALL });
      writer.appendPut('alone', '');
      await writer.close();
      await (await openBoth(life.io)).close();
      expect(await puts(life.io)).toEqual(['alone']);
    },
    { crashesInCheck: 0 },
  );
}, 60_000);

test('the damage of a log is thrown, and not the failure to close another log', async () => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  await made(io);
  const manager = await openBoth(io);
  manager.writer(0).appendPut('5/0', '');
  await manager.syncAll();
  await damage(io, 1, '3/1');
  disk.kill();
  for (let nth = 1; ; nth++) {
    const other = disk.createStorageIo();
    let [seen, isRead] = [0, false];
    disk.failWhen(({ kind, path }) => {
      isRead ||= path.includes('core-1');
      return isRead && path.includes('core-0') && kind !== 'read' && kind !== 'open' && ++seen === nth
        ? 'EIO'
        : undefined;
    });
    await expect(openBoth(other)).rejects.toEqual(coded('WAL_CORRUPT', { reason: 'hole' }));
    disk.failWhen(undefined);
    disk.kill();
    if (seen < nth) break;
  }
});

test.each([0, 512, 1024, 1536, 2048, 3072])('a log opens on a disk with %d bytes free', async (free) => {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  await made(io);
  const manager = await openBoth(io);
  manager.writer(0).appendPut('5/0', '');
  await manager.syncAll();
  disk.kill();
  const full = disk.createStorageIo();
  disk.capacityBytes = disk.usedBytes + free;
  const opened = await openBoth(full);
  disk.capacityBytes = Number.POSITIVE_INFINITY;
  await opened.endEpoch();
  opened.writer(0).appendPut('6/0', '');
  await opened.close();
  expect(await puts(full, { incomplete: 'leave' })).toEqual(['2/0', '2/1', '3/0', '3/1', '4/0', '4/1', '5/0', '6/0']);
});

/** Copies a directory recursively. */
async function copyAll(from: StorageIo, to: StorageIo, directory: string): Promise<void> {
  to.makeDirectory(directory);
  for (const name of from.list(directory)) {
    const path = `${directory}/${name}`;
    if (from.stat(path).kind === 'directory') await copyAll(from, to, path);
    else if (name !== 'LOCK') {
      const bytes = Buffer.from(await text(from, path), 'latin1');
      const file = to.open(path, { create: true });
      await runAsync(to, ioSteps.write(to, file, bytes, 0));
      to.close(file);
    }
  }
}
