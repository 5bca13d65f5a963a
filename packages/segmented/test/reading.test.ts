import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { LogTail, MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import { KeyRing, SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';

const codeOf = async (call: () => unknown): Promise<string | undefined> => {
  try {
    await call();
  } catch (error) {
    return (error as { code?: string }).code;
  }
  return undefined;
};

const textOf = (lsn: number, length = 60): string => `record ${lsn} ${'.'.repeat((lsn * 7) % length)}`;

const text = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();

function openIn(io: StorageIo, directory: string, config: Partial<SegmentedWalConfig> = {}): Promise<SegmentedWal> {
  return SegmentedWal.open({ directory, io, blockBytes: 4096, segmentBytes: 512 * 1024, ...config });
}

describe.each(BACKENDS)('read, on %s', (name, create) => {
  it('gives any record that was given out, and nothing for one that was not', async () => {
    const io = create();
    const directory = directoryFor(io);
    const wal = await openIn(io, directory);
    const total = 20_000;
    for (let lsn = 1; lsn <= total; lsn++) {
      wal.append(textOf(lsn), { type: lsn % 9, meta: String(lsn) });
      if (lsn % 500 === 0) await wal.sync();
    }
    const probes = [1, 2, 3, 499, 500, 501, 7777, 12_345, total - 1, total];
    const look = async (log: SegmentedWal): Promise<void> => {
      for (const lsn of probes) {
        const record = await log.read(lsn);
        expect([record?.lsn, record?.type, text(record?.meta), text(record?.payload)]).toEqual([
          lsn,
          lsn % 9,
          String(lsn),
          textOf(lsn),
        ]);
      }
      expect(await log.read(log.nextLsn)).toBeUndefined();
      expect(await log.read(9_999_999)).toBeUndefined();
    };
    await look(wal);
    // What is still in memory is flushed for it.
    const lsn = wal.append('the last one');
    expect(text((await wal.read(lsn))?.payload)).toBe('the last one');
    if (io.capabilities.canWait) expect(text(wal.readSync(777)?.payload)).toBe(textOf(777));
    await wal.truncateBefore(15_000);
    expect(await codeOf(() => wal.read(1))).toBe('WAL_TRUNCATED');
    expect((await wal.read(wal.firstLsn))?.lsn).toBe(wal.firstLsn);
    await wal.close();
    expect(await codeOf(() => wal.read(total))).toBe('WAL_CLOSED');

    const again = await openIn(io, directory);
    for (const each of [again.firstLsn, 16_384, total, total + 1]) expect((await again.read(each))?.lsn).toBe(each);
    await again.close();
    await io.dispose();
    expect(name).toBe(io.name);
  });
});

describe('read', () => {
  it('refuses what is no LSN', async () => {
    const wal = await openIn(createMemoryStorageIo(), '/log');
    for (const lsn of [0, -1, 1.5, Number.NaN]) expect(await codeOf(() => wal.read(lsn))).toBe('ERR_OUT_OF_RANGE');
    expect(await codeOf(() => wal.read('1' as unknown as number))).toBe('ERR_INVALID_ARG_TYPE');
    expect(await wal.read(1)).toBeUndefined();
    await wal.close();
  });

  it('finds every record, also behind marks, batches, cuts and reopening', async () => {
    const step = fc.record({
      do: fc.constantFrom('append', 'append', 'append', 'sync', 'quiet', 'cut', 'reopen'),
      count: fc.integer({ min: 1, max: 400 }),
      length: fc.integer({ min: 1, max: 900 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), fc.nat(), async (steps, seed) => {
        const io = createMemoryStorageIo();
        const environment = new TestEnvironment();
        const options = { blockBytes: 512, segmentBytes: 300_000, ...environment.options };
        let wal = await openIn(io, '/log', options);
        const texts: (string | undefined)[] = [];
        for (const { do: what, count, length } of steps) {
          if (what === 'append') {
            for (let index = 0; index < count; index++) {
              const payload = `${texts.length}${'x'.repeat(length)}`;
              texts[wal.append(payload)] = payload;
            }
          } else if (what === 'sync') await wal.sync();
          else if (what === 'quiet') environment.fire();
          else if (what === 'cut') {
            const lsn = Math.max(wal.firstLsn - 1, wal.lastLsn - (count % 50));
            if (lsn >= 1) await wal.truncateAfter(lsn);
          } else {
            await wal.close();
            wal = await openIn(io, '/log', options);
          }
        }
        for (let index = 0; index < 20 && wal.lastLsn > 0; index++) {
          const lsn = 1 + ((seed + index * 7919) % wal.lastLsn);
          expect(text((await wal.read(lsn))?.payload) === texts[lsn]).toBe(true);
          // Reading from there begins there.
          const { records } = await wal.replayFromLimit(lsn, 1);
          expect(records[0]?.lsn).toBe(lsn);
        }
        await wal.close();
      }),
      { numRuns: 40 },
    );
  });
});

describe('a replay', () => {
  it('gives only the records that are wanted', async () => {
    const io = createMemoryStorageIo();
    const environment = new TestEnvironment();
    const wal = await openIn(io, '/log', { segmentBytes: 8192, blockBytes: 512, ...environment.options });
    const begin = environment.time;
    for (let lsn = 1; lsn <= 300; lsn++) {
      environment.time = begin + lsn * 10;
      const tenantId = lsn % 3;
      if (lsn % 5 === 0) wal.append('unscoped', { type: 5 });
      else
        wal.append(textOf(lsn), {
          type: lsn % 4,
          tenantId,
          databaseId: 2n ** 63n + BigInt(lsn % 2),
          vshardId: lsn % 7,
        });
      await wal.sync();
    }
    const all = [...wal.replay()];
    expect(all.length).toBe(300);
    const found = (options: Parameters<typeof wal.replay>[0]): number[] =>
      [...wal.replay(options)].map(({ lsn }) => lsn);
    const expected = (test: (record: (typeof all)[number]) => boolean): number[] =>
      all.filter(test).map(({ lsn }) => lsn);

    expect(found({ types: [5, 1] })).toEqual(expected(({ type }) => type === 5 || type === 1));
    expect(found({ types: new Set([77]) })).toEqual([]);
    expect(found({ to: 17 })).toEqual(expected(({ lsn }) => lsn <= 17));
    expect(found({ to: 9999 }).length).toBe(300);
    expect(found({ fromTimeMs: begin + 100, toTimeMs: begin + 200 })).toEqual(
      expected(({ timestampMs }) => timestampMs >= begin + 100 && timestampMs < begin + 200),
    );
    expect(found({ scope: {} })).toEqual(expected(({ scope }) => scope !== undefined));
    expect(found({ scope: { tenantId: 0 } })).toEqual(expected(({ scope }) => scope?.tenantId === 0n));
    expect(found({ scope: { tenantId: 2n, databaseId: 2n ** 63n, vshardId: 3 } })).toEqual(
      expected(({ scope }) => scope?.tenantId === 2n && scope.databaseId === 2n ** 63n && scope.vshardId === 3),
    );
    expect(found({ types: [1], scope: { tenantId: 1 }, to: 200 })).toEqual(
      expected(({ lsn, type, scope }) => type === 1 && scope?.tenantId === 1n && lsn <= 200),
    );
    const from100 = [...wal.replayFrom(100, { types: [2] })].map(({ lsn }) => lsn);
    expect(from100).toEqual(expected(({ lsn, type }) => lsn >= 100 && type === 2));

    const wrong: [object, string][] = [
      [{ types: 1 }, 'ERR_INVALID_ARG_TYPE'],
      [{ types: [-1] }, 'ERR_OUT_OF_RANGE'],
      [{ to: 0 }, 'ERR_OUT_OF_RANGE'],
      [{ fromTimeMs: 1.5 }, 'ERR_OUT_OF_RANGE'],
      [{ toTimeMs: 'now' }, 'ERR_INVALID_ARG_TYPE'],
      [{ scope: { tenant: 1 } }, 'ERR_INVALID_ARG_TYPE'],
      [{ scope: { vshardId: 2 ** 32 } }, 'ERR_OUT_OF_RANGE'],
    ];
    for (const [options, code] of wrong) expect(await codeOf(() => wal.replay(options))).toBe(code);
    await wal.close();
  });
});

describe('records that are encrypted and compressed', () => {
  it('are decoded by every reader that has the key, and by none that has not', async () => {
    const io = createSyncFsStorageIo();
    const directory = directoryFor(io);
    const key = { id: 3, key: new Uint8Array(32).fill(9) };
    const keyRing = KeyRing.of(key);
    const compression = { codec: 'deflate', thresholdBytes: 10 } as const;
    const wal = await openIn(io, directory, { segmentBytes: 32 * 1024, keyRing, compression });
    for (let lsn = 1; lsn <= 1500; lsn++) wal.append(textOf(lsn), { meta: `meta ${lsn}` });
    await wal.close();

    const expected = Array.from({ length: 1500 }, (_, index) => textOf(index + 1));
    for (const workers of [0, 1]) {
      const found: string[] = [];
      await replayDirectory(directory, { keyRing, workers }).forEach(({ lsn, meta, payload }) => {
        expect(text(meta)).toBe(`meta ${lsn}`);
        found.push(text(payload));
      });
      expect(found).toEqual(expected);
    }
    const cursor = replayDirectory(directory, { keyRing }).cursor();
    const viewed: string[] = [];
    while (cursor.next()) {
      expect(cursor.metaLength).toBe(text(cursor.meta).length);
      viewed.push(text(cursor.payload));
    }
    expect(viewed).toEqual(expected);
    const tail = new LogTail(io, directory, { keyRing });
    const followed: string[] = [];
    while (tail.advanceSync()) {
      for (let record = tail.next(); record; record = tail.next()) followed.push(text(record.payload));
    }
    expect(followed).toEqual(expected);
    tail.close();
    const [first] = readdirSync(directory).filter((name) => name.startsWith('wal-'));
    const path = join(directory, first as string);
    const reader = MmapWalReader.open(path, { keyRing });
    expect(text(reader.nextRecord()?.payload)).toBe(textOf(1));
    reader.close();

    // The positions of the records are not encrypted.
    const blind = replayDirectory(directory).cursor();
    let count = 0;
    while (blind.next()) count++;
    expect(count).toBe(1500);
    const wrong = KeyRing.of({ ...key, key: new Uint8Array(32).fill(8) });
    for (const options of [{}, { keyRing: wrong }]) {
      expect(await codeOf(() => [...replayDirectory(directory, options)])).toBe('WAL_BAD_KEY');
      const refused = MmapWalReader.open(path, options);
      expect(await codeOf(() => refused.nextRecord())).toBe('WAL_BAD_KEY');
      refused.close();
    }
    await io.dispose();
  });
});
