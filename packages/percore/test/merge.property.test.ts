import { type CoreEntry, CoreWalWriter, compareEntries, PerCoreRecovery } from '@walstack/percore';
import { createMemoryStorageIo, runSync } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EntryReader } from '../src/core/entries/entry-reader.js';
import { CoreMerge } from '../src/recovery/core-merge.js';

/** The entries of one core: by how much the clock advances before each, and whether a new epoch begins. */
const core = fc.array(fc.record({ waitMs: fc.integer({ min: 0, max: 3 }), epoch: fc.integer({ min: 0, max: 9 }) }), {
  maxLength: 30,
});

test('entries of any number of cores are merged as sorting them would', () => {
  fc.assert(
    fc.property(fc.array(core, { minLength: 1, maxLength: 12 }), (cores) => {
      const io = createMemoryStorageIo();
      const appended: { key: string; coreId: number; epoch: number; time: number }[] = [];
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
          const key = `${coreId}/${appended.length}`;
          writer.appendPut(key, 'x'.repeat(100));
          appended.push({ key, coreId, epoch: writer.epoch, time });
        }
        writer.closeSync();
      }
      using recovery = PerCoreRecovery.openSync({ directory: '/log', io });
      const merged = [...recovery.entries()];
      expect(merged).toEqual([...merged].sort(compareEntries));
      // In an order of its own: sorting keeps those of one core that are equal as they were appended.
      const expected = appended.sort((a, b) => a.epoch - b.epoch || a.time - b.time || a.coreId - b.coreId);
      const puts = merged.flatMap((entry) => (entry.operation === 'put' ? [Buffer.from(entry.key).toString()] : []));
      expect(puts).toEqual(expected.map(({ key }) => key));
    }),
    { numRuns: 100 },
  );
});

test('an entry is returned before the failure of the next one', () => {
  const entry = (coreId: number, sequence: number): CoreEntry => {
    const place = { coreId, sequence, epoch: 1, timestampUs: sequence };
    return { operation: 'delete', key: new Uint8Array(0), ...place };
  };
  const failure = new Error('it cannot be decoded');
  const readerOf = (entries: readonly (CoreEntry | Error)[]): EntryReader => {
    let index = 0;
    const next = (): CoreEntry | undefined => {
      const each = entries[index];
      if (each instanceof Error) throw each;
      index++;
      return each;
    };
    return {
      next,
      advance: function* () {
        yield* [];
        return index < entries.length;
      },
      close: () => {},
    } as unknown as EntryReader;
  };
  const merge = new CoreMerge([readerOf([entry(0, 1), failure]), readerOf([entry(1, 2), entry(1, 3)])]);
  const io = createMemoryStorageIo();
  expect(runSync(io, merge.advance())).toBe(true);
  expect(merge.next()).toEqual(entry(0, 1));
  // It remains the next one: no later entry is returned in its place.
  for (let round = 0; round < 2; round++) expect(() => merge.next()).toThrow(failure);
  expect(() => runSync(io, merge.advance())).toThrow(failure);
});
