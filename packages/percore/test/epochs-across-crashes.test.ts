import {
  CoreWalWriter,
  PerCoreRecovery,
  type PerCoreWalConfig,
  PerCoreWalManager,
  SharedEpochs,
} from '@walstack/percore';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { exploreCrashes } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { coded } from './support/errors.js';
import { contentsOf } from './support/fixtures.js';
import { DIRECTORY } from './support/logs.js';

const SMALL = { blockBytes: 512, segmentBytes: 8192 } as const;

const open = (io: StorageIo, cores: PerCoreWalConfig['cores'], more: Partial<PerCoreWalConfig> = {}) =>
  PerCoreWalManager.open({ directory: DIRECTORY, cores, io, ...SMALL, ...more });

/** The last complete epoch and the last epoch, as recovery reports them. */
async function recovered(
  io: StorageIo,
  incomplete: 'take' | 'leave' = 'leave',
): Promise<{ complete: number; last: number; contents: unknown[] }> {
  await using recovery = await PerCoreRecovery.open({ directory: DIRECTORY, io, incomplete, ...SMALL });
  const { completeEpoch: complete, lastEpoch: last } = recovery;
  return { complete, last, contents: contentsOf(recovery.entries()) };
}

test("'leave', with the power lost at every operation: complete epochs stay complete, and no epoch begins twice", async () => {
  type Note = { readonly complete: number; readonly epoch: number } | 'written';
  const report = await exploreCrashes<Note>(
    async (life) => {
      // Logs as busy writers leave them: each skips barriers, so that only a later barrier proves the earlier epochs.
      const epochs = SharedEpochs.create(1);
      const options = { io: life.io, epochs, ...SMALL };
      const one = await CoreWalWriter.open(0, DIRECTORY, options);
      const two = await CoreWalWriter.open(1, DIRECTORY, options);
      for (const writer of [one, two]) writer.appendPut(`first of ${writer.coreId}`, '');
      epochs.advance();
      one.appendPut('second of 0', '');
      epochs.advance();
      epochs.advance();
      // Only the barrier of epoch 3 in this log proves that epoch 2 is complete.
      two.appendPut('fourth of 1', '');
      epochs.advance();
      one.appendPut('fifth of 0', '');
      for (const writer of [one, two]) {
        await writer.sync();
        await writer.close();
      }
      life.note('written');
      const before = await recovered(life.io);
      life.note({ complete: before.complete, epoch: before.last });
      await (await open(life.io, 2, { incomplete: 'leave' })).close();
    },
    async (life) => {
      const noted = life.notes.at(-1);
      if (noted === undefined || noted === 'written') return;
      const now = await recovered(life.io);
      expect(now.complete).toBeGreaterThanOrEqual(noted.complete);
      expect(now.contents).toEqual(
        expect.arrayContaining([
          ['put', 'first of 0', ''],
          ['put', 'first of 1', ''],
          ['put', 'second of 0', ''],
        ]),
      );
      // Decided for both logs at once, or for neither, also when everything is to be taken.
      const all = await recovered(life.io, 'take');
      const fourth = all.contents.some((content) => String(content).includes('fourth of 1'));
      const fifth = all.contents.some((content) => String(content).includes('fifth of 0'));
      expect(fifth).toBe(fourth);
      for (const incomplete of ['leave', 'take'] as const) {
        const manager = await open(life.io, 2, { incomplete });
        expect(manager.epoch).toBeGreaterThan(noted.epoch);
        await manager.close();
      }
      const contents = (await recovered(life.io)).contents;
      // Once the decision to drop them is made, no later opening takes them.
      expect(contents).not.toContainEqual(['put', 'fourth of 1', '']);
      expect(contents).not.toContainEqual(['put', 'fifth of 0', '']);
    },
    { seeds: [1], survivorsPerPoint: 2, crashesInCheck: 0 },
  );
  expect(report.points).toBeGreaterThan(40);
});

describe('the shared epoch', () => {
  test.each([2 ** 31 - 1, 2 ** 32 - 1, 2 ** 33 - 1])('is seen by an idle writer after %d', (epoch) => {
    const io = createMemoryStorageIo();
    const epochs = SharedEpochs.create(epoch);
    const writer = CoreWalWriter.openSync(0, DIRECTORY, { io, epochs });
    // Nothing was appended in the epoch in which it was opened.
    epochs.advance();
    writer.appendPut('a', '');
    expect(writer.barrier?.epoch).toBe(epoch);
    writer.closeSync();
    using recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io });
    const entries = [...recovery.entries()].filter(({ operation }) => operation === 'put');
    expect(entries.map((entry) => entry.epoch)).toEqual([epoch + 1]);
  });

  test('is compared in full: a writer that is idle for 2^32 epochs sees the next one', () => {
    const io = createMemoryStorageIo();
    const epochs = SharedEpochs.create(7);
    const writer = CoreWalWriter.openSync(0, DIRECTORY, { io, epochs });
    writer.appendPut('a', '');
    new BigInt64Array(epochs.buffer, 0, 1)[0] = 7n + 2n ** 32n;
    writer.appendPut('b', '');
    writer.closeSync();
    using recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io });
    const entries = [...recovery.entries()].filter(({ operation }) => operation === 'put');
    expect(entries.map((entry) => entry.epoch)).toEqual([7, 7 + 2 ** 32]);
  });

  test('ends before a number that cannot be read, in a standalone writer and under a manager', async () => {
    const io = createMemoryStorageIo();
    const last = Number.MAX_SAFE_INTEGER - 1;
    const writer = CoreWalWriter.openSync(0, DIRECTORY, { io });
    expect(() => {
      writer.epoch = Number.MAX_SAFE_INTEGER;
    }).toThrow(coded('ERR_OUT_OF_RANGE'));
    writer.epoch = last;
    writer.appendPut('a', '');
    expect(() => writer.appendEpochBarrier()).toThrow(coded('WAL_RANGE', { limit: last }));
    writer.appendPut('b', '');
    writer.closeSync();
    await expect(open(io, 1)).rejects.toEqual(coded('WAL_RANGE', { limit: last }));
    using recovery = PerCoreRecovery.openSync({ directory: DIRECTORY, io });
    expect(contentsOf(recovery.entries())).toEqual([
      ['put', 'a', ''],
      ['put', 'b', ''],
    ]);
  });
});
