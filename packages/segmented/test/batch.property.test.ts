import { KeyRing } from '@walstack/codec';
import { Batch, type SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { changed, cut, restore, type Snapshot, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';

const sizes = fc.oneof(
  fc.nat(60),
  // Around the end of a block, where no frame may start.
  fc.integer({ min: 440, max: 490 }),
  fc.nat(3000),
);

const steps = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant('append' as const), sizes: sizes.map((size) => [size]) }),
    fc.record({ kind: fc.constant('batch' as const), sizes: fc.array(sizes, { minLength: 1, maxLength: 12 }) }),
    fc.record({
      kind: fc.constantFrom('sync' as const, 'flush' as const, 'reopen' as const),
      sizes: fc.constant<number[]>([]),
    }),
  ),
  { minLength: 1, maxLength: 25 },
);

const configs: fc.Arbitrary<Partial<SegmentedWalConfig>> = fc.record({
  blockBytes: fc.constantFrom(512, 1024),
  segmentBytes: fc.constantFrom(2048, 8192, 1024 * 1024),
  padGroups: fc.boolean(),
  keyRing: fc.constantFrom(undefined, KeyRing.of({ id: 1, key: new Uint8Array(32).fill(1) })),
  compression: fc.constantFrom({}, { codec: 'deflate', thresholdBytes: 100 } as const),
});

/** What was appended, by batch. */
type Appended = { readonly firstLsn: number; readonly payloads: readonly string[] }[];

function run(
  wal: SegmentedWal,
  again: () => SegmentedWal,
  list: readonly Step[],
): { wal: SegmentedWal; appended: Appended } {
  const appended: Appended = [];
  let log = wal;
  for (const step of list) {
    if (step.kind === 'sync') log.syncSync();
    else if (step.kind === 'flush') log.flushSync();
    else if (step.kind === 'reopen') {
      log.closeSync();
      log = again();
    } else {
      const firstLsn = log.nextLsn;
      const payloads = step.sizes.map((size, index) => `${firstLsn + index}/`.padEnd(size, `${index}`));
      appended.push({ firstLsn, payloads });
      if (step.kind === 'append') log.append(payloads[0] as string);
      else {
        const batch = payloads.reduce((all, payload) => all.add(payload), new Batch());
        expect(log.appendBatch(batch)).toBe(firstLsn + payloads.length - 1);
      }
    }
  }
  return { wal: log, appended };
}

type Step = typeof steps extends fc.Arbitrary<(infer T)[]> ? T : never;

test('batches of any sizes lie in one segment each, and everything comes back', () => {
  fc.assert(
    fc.property(configs, steps, (config, list) => {
      const io = createMemoryStorageIo();
      const { wal, appended } = run(openIn(io, config), () => openIn(io, config), list);
      wal.syncSync();
      expect(texts(wal.replay())).toEqual(appended.flatMap(({ payloads }) => payloads));
      const segments = wal.listSegments();
      for (const { firstLsn, payloads } of appended) {
        const lastLsn = firstLsn + payloads.length - 1;
        const holder = segments.filter((each) => each.firstLsn <= lastLsn && (each.lastLsn ?? 0) >= firstLsn);
        expect(holder).toHaveLength(1);
      }
      wal.closeSync();
    }),
    { numRuns: 60 },
  );
});

test('wherever the newest file of a killed log ends, whole batches are found, and all that was synced', () => {
  fc.assert(
    fc.property(configs, steps, fc.array(fc.nat(), { minLength: 1, maxLength: 6 }), (config, list, lengths) => {
      const io = createMemoryStorageIo();
      const { wal, appended } = run(openIn(io, config), () => openIn(io, config), list);
      const { durableLsn } = wal;
      wal.flushSync();
      const files: Snapshot = snapshot(io, DIRECTORY);
      const name = segmentNames(files).at(-1) as string;
      const size = (files.get(name) as Uint8Array).length;
      const payloads = appended.flatMap((each) => each.payloads);
      const ends = new Set(appended.map((each) => each.firstLsn + each.payloads.length - 1));
      for (const length of lengths) {
        const kept = (config.blockBytes as number) + (length % Math.max(1, size - (config.blockBytes as number) + 1));
        let again: SegmentedWal;
        try {
          again = openIn(restore(changed(files, name, cut(kept))), config);
        } catch (error) {
          // What had been acknowledged was cut away, and something shows it.
          expect(error).toMatchObject({ code: 'WAL_CORRUPT' });
          continue;
        }
        const found = texts(again.replay());
        expect(found).toEqual(payloads.slice(0, found.length));
        if (found.length > 0 && found.length < payloads.length) expect(ends.has(again.lastLsn)).toBe(true);
        again.closeSync();
      }
      const whole = openIn(restore(files), config);
      expect(whole.lastLsn).toBeGreaterThanOrEqual(durableLsn);
      whole.closeSync();
    }),
    { numRuns: 60 },
  );
});
