import { CoreWalWriter, PerCoreRecovery, type PerCoreWalConfig, PerCoreWalManager } from '@walstack/percore';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { exploreCrashes } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY } from './support/logs.js';

const open = (io: StorageIo, cores: PerCoreWalConfig['cores'], more: Partial<PerCoreWalConfig> = {}) =>
  PerCoreWalManager.open({ directory: DIRECTORY, cores, io, blockBytes: 512, segmentBytes: 8192, ...more });

describe('the place of a checkpoint in a log that was closed cleanly', () => {
  test('of a retired core, with the power lost at every operation', async () => {
    const checkpoints = new Set<number | undefined>();
    const report = await exploreCrashes<'b is closed'>(
      async (life) => {
        const both = await open(life.io, 2);
        both.writer(0).appendPut('a', '0');
        both.writer(1).appendPut('b', '1');
        await both.close();
        life.note('b is closed');
        await (await open(life.io, [0])).close();
        const again = await open(life.io, [0]);
        await again.checkpoint(() => {});
      },
      async (life) => {
        if (life.notes.length === 0) return;
        const recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io: life.io });
        const puts = ['a', 'b'].map((key, core) => ['put', key, String(core)]);
        expect(contentsOf(recovery.entries())).toEqual(recovery.checkpoint === undefined ? puts : []);
        checkpoints.add(recovery.checkpoint?.id);
        await recovery.close();
        await (await open(life.io, 2)).close();
      },
      { seeds: [1], survivorsPerPoint: 2, crashesInCheck: 0 },
    );
    expect(report.points).toBeGreaterThan(50);
    expect(checkpoints).toEqual(new Set([undefined, 1]));
  });

  test('positions that a writer returns are valid for openAt', async () => {
    const io = createMemoryStorageIo();
    const writer = await CoreWalWriter.open(0, DIRECTORY, { io });
    writer.appendPut('a', '1');
    await writer.close();
    const again = await CoreWalWriter.open(0, DIRECTORY, { io });
    const { position } = again;
    again.appendPut('b', '2');
    await again.close();
    const back = await CoreWalWriter.openAt(0, DIRECTORY, position, { io });
    expect(back.lastLsn).toBe(1);
    await back.close();
    await (await CoreWalWriter.openAt(0, DIRECTORY, back.position, { io })).close();
  });
});
