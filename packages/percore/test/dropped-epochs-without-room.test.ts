import { PerCoreRecovery } from '@walstack/percore';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { DIRECTORY, open } from './support/logs.js';

/** A log that was killed in its second epoch, which has an entry that `'leave'` drops. */
async function withIncompleteEpoch(): Promise<SimulatedDisk> {
  const disk = new SimulatedDisk();
  const io = disk.createStorageIo();
  const manager = await open(io, 2);
  for (const core of [0, 1]) manager.writer(core).appendPut('complete', '');
  await manager.endEpoch();
  manager.writer(0).appendPut('dropped', '');
  await manager.writer(0).sync();
  disk.kill(io);
  return disk;
}

/** From then on there is room for so many operations that take some in the segments. */
function leaveRoom(disk: SimulatedDisk, operations: number): void {
  let left = operations;
  disk.failWhen(({ kind, path }) =>
    /write|create/.test(kind) && path.endsWith('.seg') && --left < 0 ? 'ENOSPC' : undefined,
  );
}

test("the number of an epoch that 'leave' dropped is not used again, wherever the disk becomes full in two openings", async () => {
  const opened = { once: 0, twice: 0 };
  for (let first = 0; first < 8; first++) {
    for (let second = 0; second < 8; second++) {
      let disk = await withIncompleteEpoch();
      const recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io: disk.createStorageIo() });
      const dropped = recovery.lastEpoch;
      recovery.closeSync();
      let openings = 0;
      for (const room of [first, second, Number.POSITIVE_INFINITY]) {
        leaveRoom(disk, room);
        const io = disk.createStorageIo();
        const manager = await open(io, 2, { incomplete: 'leave' }).catch(() => undefined);
        if (manager !== undefined) {
          openings++;
          expect(manager.epoch, `room for ${first}, then for ${second}`).toBeGreaterThan(dropped);
        }
        disk = disk.crash();
      }
      if (openings === 2) opened.once++;
      if (openings === 3) opened.twice++;
    }
  }
  expect(opened.once).toBeGreaterThan(0);
  expect(opened.twice).toBeGreaterThan(0);
});
