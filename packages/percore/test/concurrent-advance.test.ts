import { join } from 'node:path';
import { CoreWalWriter, PerCoreRecovery, PerCoreWalManager, PerCoreWalReader } from '@walstack/percore';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { DIRECTORY } from './support/logs.js';

const busy = expect.objectContaining({ code: 'WAL_STATE', state: 'advancing' });
const unfinished = expect.objectContaining({ code: 'WAL_CORRUPT', reason: 'salvage' });

/** Reads to the end of the log. */
async function readOut(reader: PerCoreWalReader): Promise<number> {
  let count = 0;
  for await (const _ of reader) count++;
  return count;
}

test('a second advance is rejected until the first one ends, which continues', async () => {
  const io = new SimulatedDisk().createStorageIo({ completesInline: false });
  const writer = await CoreWalWriter.open(0, DIRECTORY, { io });
  writer.appendPut('a', '1');
  await writer.sync();
  const reader = await PerCoreWalReader.open(0, DIRECTORY, { io });
  expect(await readOut(reader)).toBe(1);
  let isUnderWay = true;
  const first = reader.advance().finally(() => {
    isUnderWay = false;
  });
  const others: Promise<unknown>[] = [];
  while (isUnderWay) {
    others.push(reader.advance().catch((error: unknown) => error));
    await new Promise(setImmediate);
  }
  // The last call may come after the first has ended, which the test cannot tell.
  const refused = (await Promise.all(others)).slice(0, -1);
  expect(refused.length).toBeGreaterThan(2);
  expect(refused).toEqual(refused.map(() => busy));
  expect(await first).toBe(false);
  expect(reader.stopReason).toBe('end');
  writer.appendPut('b', '2');
  await writer.close();
  expect(await readOut(reader)).toBe(1);
  await reader.close();
});

test('an advance under way when its reader is closed ends', async () => {
  const directory = join(temporaryDirectory(), 'log');
  const writer = CoreWalWriter.openSync(0, directory, { io: 'sync-fs' });
  writer.appendPut('a', '1');
  writer.closeSync();
  for (let turns = 0; turns < 24; turns++) {
    const reader = await PerCoreWalReader.open(0, directory, { io: 'thread-pool' });
    await readOut(reader);
    const look = reader.advance().catch((error: unknown) => error);
    for (let turn = 0; turn < turns; turn++) await (turn % 2 === 0 ? undefined : new Promise(setImmediate));
    await reader.close();
    expect([false, expect.objectContaining({ code: 'WAL_CLOSED' })]).toContainEqual(await look);
  }
});

test('no log is read while a salvage of the per-core log has not ended', async () => {
  const io = createMemoryStorageIo();
  const manager = await PerCoreWalManager.open({ directory: DIRECTORY, cores: 2, io });
  manager.writer(0).appendPut('a', '1');
  await manager.checkpoint(() => {});
  await manager.close();
  const early = await PerCoreWalReader.open(0, DIRECTORY, { io });
  await readOut(early);
  const file = io.open(`${DIRECTORY}/manifest`, { truncate: true });
  io.close(file);
  const recover = (): never => {
    throw new Error('ends');
  };
  const salvaging = { directory: DIRECTORY, io, recoveryMode: 'salvage' } as const;
  await expect(PerCoreWalManager.open({ ...salvaging, cores: 2, recover })).rejects.toThrow('ends');
  await expect(PerCoreWalReader.open(0, DIRECTORY, { io })).rejects.toEqual(unfinished);
  expect(() => PerCoreWalReader.openSync(1, DIRECTORY, { io })).toThrow(unfinished);
  await expect(early.advance()).rejects.toEqual(unfinished);
  expect(() => early.advanceSync()).toThrow(unfinished);
  expect(early.stopReason).toBe('corrupt');
  await (await PerCoreRecovery.open(salvaging)).close();
  expect(await early.advance()).toBe(false);
  expect(early.stopReason).toBe('end');
  await early.close();
  await (await PerCoreWalReader.open(1, DIRECTORY, { io })).close();
});
