import { createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';
import { type Preset, Wal, type WalBuilder, type WalOptions } from '@walstack/wal';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { directoryFor } from '../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { textsOf } from './support/outcomes.js';

describe('Wal.builder', () => {
  test('opens a log with options that are set one by one', async () => {
    await using io = createSyncFsStorageIo();
    const directory = directoryFor(io);
    await using wal = await Wal.builder(directory).io(io).segmentBytes(4096).blockBytes(512).firstLsn(100).build();
    expectTypeOf(wal).toEqualTypeOf<Wal>();
    for (let each = 0; each < 10; each++) await wal.commit('x'.repeat(1000));
    expect([wal.firstLsn, wal.lastLsn, wal.path]).toEqual([100, 109, directory]);
    expect(wal.stats().rolls).toBeGreaterThan(1);
  });

  test('types events by its encoding', async () => {
    await using io = createSyncFsStorageIo();
    const builder = Wal.builder(directoryFor(io)).io(io);
    expectTypeOf(builder).toEqualTypeOf<WalBuilder>();
    await using wal = await builder.encoding<{ id: number }>('json').build();
    expectTypeOf(wal).toEqualTypeOf<Wal<{ id: number }, { id: number }>>();
    await wal.commit({ id: 7 });
    expect([...wal.iterator()].map(({ payload }) => payload.id)).toEqual([7]);
    await wal.shutdown();
    await using bytes = await builder.encoding('view').build();
    expect(await textsOf(bytes)).toEqual(['{"id":7}']);
  });

  test('each call returns a new builder and leaves the old one unchanged', async () => {
    await using io = createSyncFsStorageIo();
    const base = Wal.builder(directoryFor(io)).io(io).create(false);
    const creating = base.create(true);
    expect(await rejection(base.build())).toMatchObject({ code: 'WAL_NOT_FOUND' });
    await (await creating.build()).shutdown();
    await (await base.build()).shutdown();
  });

  test('build rejects a wrong value with option, value and range', async () => {
    const error = await rejection(Wal.builder('/nowhere/log').maxInFlight(1000).build());
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    expect(error.message).toBe('"maxInFlight" must be an integer from 1 to 256, received 1000');
    expect(await rejection(Wal.builder('').build())).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  });
});

describe('presets', () => {
  test.each<[Preset, WalOptions, number, number]>([
    ['durable', {}, 10, 64],
    ['throughput', {}, 50, 256],
    ['low-latency', {}, 1, 64],
    ['throughput', { flushDelayMs: 7, maxPendingBytes: 1024 * 1024 }, 7, 1],
    ['throughput', { flushDelayMs: undefined, maxPendingBytes: undefined } as never, 50, 256],
    [undefined as never, { flushDelayMs: undefined } as never, 10, 64],
  ])('%s with %o', async (preset, options, flushDelayMs, maxPendingMebibytes) => {
    await using io = createThreadPoolStorageIo();
    const time = new ManualTime();
    const directory = directoryFor(io);
    await using wal = await Wal.open(directory, { io, preset, markAfterMs: 0, ...options, ...time.options });
    wal.append('x');
    expect(time.waiting).toEqual([flushDelayMs]);
    const room = maxPendingMebibytes * 1024 * 1024;
    wal.append(new Uint8Array(Math.min(room, 64 * 1024 * 1024) - 1024));
    const rest = room - wal.stats().pendingBytes;
    if (rest > 1024 * 1024) wal.append(new Uint8Array(1024));
    else expect(() => wal.append(new Uint8Array(1024))).toThrow(expect.objectContaining({ code: 'WAL_BACKPRESSURE' }));
    await wal.close();
  });

  test('low-latency preallocates blocks also on a backend without concurrent groups', async () => {
    await using io = createThreadPoolStorageIo();
    const sizes = [];
    for (const preset of ['durable', 'low-latency'] as const) {
      const directory = directoryFor(io);
      const wal = await Wal.open(directory, { io, preset });
      await wal.commit('a');
      await wal.commit('b');
      const [segment] = wal.listSegments();
      sizes.push(io.stat(segment?.path as string).size);
      await wal.shutdown();
    }
    expect(sizes[0]).toBeLessThan(8192);
    expect(sizes[1]).toBeGreaterThan(256 * 1024);
  });

  test('an unknown preset is rejected', async () => {
    const error = await rejection(Wal.open('/nowhere/log', { preset: 'fast' as never }));
    expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
    expect(error.message).toBe(`"preset" must be one of 'durable', 'throughput', 'low-latency', received "fast"`);
  });
});

test.each([
  [{ segmentBytes: 5 }, '"segmentBytes" must be an integer from 8192 to 9007199254740991, received 5'],
  [{ blockBytes: 1000 }, '"blockBytes" must be a power of two from 512 to 65536, received 1000'],
  [{ flushDelayMs: -1 }, '"flushDelayMs" must be an integer from 0 to 2147483647, received -1'],
  [{ flushBytes: 0 }, '"flushBytes" must be an integer from 1 to 9007199254740991, received 0'],
  [{ padGroups: 1 }, '"padGroups" must be a boolean, received 1'],
  [{ preallocate: 'all' }, `"preallocate" must be one of 'none', 'allocate', 'write', received "all"`],
  [{ onFailure: true }, '"onFailure" must be a function, received true'],
  [{ segmentByte: 5 }, '"options" has no option "segmentByte": did you mean "segmentBytes"?'],
])('the error for wrong options %o has the name, the value and the range', async (options, message) => {
  const error = await rejection(Wal.open('/nowhere/log', options as WalOptions));
  expect(error.message).toMatch(message);
});
