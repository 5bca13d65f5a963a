import { CoreWalWriter, compareEntries, PerCoreRecovery } from '@walstack/percore';
import { createMemoryStorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';

/** The entries of one core: how far the clock goes on before each, and whether a new epoch begins. */
const core = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 3 }), epoch: fc.integer({ min: 0, max: 9 }) }), {
  maxLength: 30,
});

test('entries of any number of cores are merged as sorting them would', () => {
  fc.assert(
    fc.property(fc.array(core, { minLength: 1, maxLength: 12 }), (cores) => {
      const io = createMemoryStorageIo();
      for (const [coreId, entries] of cores.entries()) {
        let time = 1000;
        const writer = CoreWalWriter.openSync(coreId, '/log', {
          io,
          now: () => time,
          segmentBytes: 1024,
          blockBytes: 512,
        });
        for (const { waitMs, epoch } of entries) {
          time += waitMs;
          if (epoch === 0) writer.epoch += 1;
          writer.appendPut('k', 'x'.repeat(100));
        }
        writer.closeSync();
      }
      using recovery = PerCoreRecovery.openSync({ directory: '/log', io });
      const merged = [...recovery.entries()];
      expect(merged).toEqual([...merged].sort(compareEntries));
      const puts = merged.filter(({ operation }) => operation === 'put');
      expect(puts.length).toBe(cores.reduce((sum, entries) => sum + entries.length, 0));
    }),
    { numRuns: 100 },
  );
});
