import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CoreWalWriter, PerCoreRecovery, PerCoreWalManager } from '@walstack/percore';
import { createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { contentsOf } from './support/fixtures.js';

const module = new URL('./support/programs.mjs', import.meta.url).href;
/** A file that has no room for any write. */
const FULL = '/dev/full';

/** A backend on real files that has no room for the first writes to each segment. */
function withoutRoom(refusals: number): StorageIo {
  const io = createSyncFsStorageIo();
  const full = io.open(FULL);
  const refused = new Map<string, number>();
  const submitWrite: StorageIo['submitWrite'] = (file, ...write) => {
    const count = refused.get(file.path) ?? 0;
    if (!file.path.endsWith('.seg') || count >= refusals) return io.submitWrite(file, ...write);
    refused.set(file.path, count + 1);
    return io.submitWrite(full, ...write);
  };
  return new Proxy(io, {
    get(target, name) {
      if (name === 'submitWrite') return submitWrite;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** Two cores, each of which was written alone and closed cleanly: opened together, each needs a barrier. */
async function writtenAlone(): Promise<string> {
  const directory = join(temporaryDirectory(), 'log');
  const manager = await PerCoreWalManager.open({ directory, cores: 2, io: 'sync-fs' });
  for (const core of [0, 1]) manager.writer(core).appendPut(`before ${core}`, '');
  await manager.close();
  for (const core of [0, 1]) {
    await using writer = await CoreWalWriter.open(core, directory, { io: 'sync-fs' });
    writer.appendPut(`alone ${core}`, '');
  }
  return directory;
}

describe.skipIf(!existsSync(FULL))(
  'where the first barrier of a core finds no room, a worker takes over its log',
  () => {
    test.each([
      ['without the barrier', Number.POSITIVE_INFINITY],
      ['with the barrier, for which closing the log has found room', 1],
    ])('%s', async (_what, refusals) => {
      const directory = await writtenAlone();
      const io = withoutRoom(refusals);
      const run = { module, export: 'obey', options: { greeting: 'goodbye' } };
      const workers = { run, configure: { module, export: 'nothingOfItsOwn' } };
      const manager = await PerCoreWalManager.open({ directory, cores: 2, io, workers });
      for (const core of [0, 1]) {
        const answer = once(manager.port(core), 'message');
        manager.port(core).postMessage({ puts: [[`behind ${core}`, '']], sync: true });
        await answer;
      }
      await manager.endEpoch();
      await manager.close();
      await io.dispose();
      await using recovery = await PerCoreRecovery.open({ directory, io: 'sync-fs' });
      const found = [];
      for await (const entry of recovery.entries()) found.push(entry);
      const keys = ['before', 'alone', 'behind'].flatMap((name) => [`${name} 0`, `${name} 1`]);
      expect(contentsOf(found)).toEqual(keys.map((key) => ['put', key, '']));
      // Each epoch was ended once by each core.
      const barriers = found
        .filter(({ operation }) => operation === 'epochBarrier')
        .map((each) => `${each.epoch} ${each.coreId}`);
      expect(new Set(barriers).size).toBe(barriers.length);
    });
  },
);
