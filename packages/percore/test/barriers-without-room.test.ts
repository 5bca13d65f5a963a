import { CoreWalWriter, PerCoreRecovery, PerCoreWalManager, PerCoreWalReader } from '@walstack/percore';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY } from './support/logs.js';

/** Two cores, each of which was written alone and closed cleanly: opened together, each needs a barrier. */
async function writtenAlone(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const config = { directory: DIRECTORY, io: disk.createStorageIo(), blockBytes: 512 };
  const manager = await PerCoreWalManager.open({ ...config, cores: 2 });
  for (const core of [0, 1]) manager.writer(core).appendPut(`before ${core}`, '');
  await manager.endEpoch();
  await manager.close();
  for (const core of [0, 1]) {
    const writer = await CoreWalWriter.open(core, DIRECTORY, { io: config.io, blockBytes: 512 });
    writer.appendPut(`alone ${core}`, '');
    await writer.sync();
    await writer.close();
  }
  return disk;
}

/** A disk that creates files and has no room for a write to a segment. */
const fill = (disk: SimulatedDisk): void =>
  disk.failWhen(({ kind, path }) => (/write|create/.test(kind) && path.endsWith('.seg') ? 'ENOSPC' : undefined));

test('a barrier that waits for room is in the log once, and does not count as synced before', async () => {
  const disk = await writtenAlone();
  fill(disk);
  const io = disk.createStorageIo();
  const manager = await PerCoreWalManager.open({ directory: DIRECTORY, io, blockBytes: 512, cores: 2 });
  for (const core of [0, 1]) {
    const writer = manager.writer(core);
    expect([writer.entriesSinceSync, writer.syncedPosition < writer.position]).toEqual([1, true]);
    expect(() => writer.appendPut('refused', '')).toThrow(coded('WAL_NO_SPACE'));
  }
  disk.failWhen(undefined);
  await manager.syncAll();
  for (const core of [0, 1]) {
    const writer = manager.writer(core);
    expect([writer.entriesSinceSync, writer.syncedPosition]).toEqual([0, writer.position]);
    writer.appendPut(`behind ${core}`, '');
  }
  await manager.endEpoch();
  await manager.close();
  for (const core of [0, 1]) {
    using reader = PerCoreWalReader.openSync(core, DIRECTORY, { io });
    const barriers = [...reader].filter(({ operation }) => operation === 'epochBarrier').map(({ epoch }) => epoch);
    expect([barriers.length > 1, new Set(barriers).size]).toEqual([true, barriers.length]);
  }
  const recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io });
  const keys = ['before', 'alone', 'behind'].flatMap((name) => [`${name} 0`, `${name} 1`]);
  expect(contentsOf(recovery.entries())).toEqual(keys.map((key) => ['put', key, '']));
  recovery.closeSync();
});
