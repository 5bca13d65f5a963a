import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CoreWalWriter, PerCoreRecovery, SharedEpochs } from '@walstack/percore';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { coded } from './support/errors.js';
import { contentOf, contentsOf } from './support/fixtures.js';

/** All entries in the logs of a directory, merged. */
async function readAll(io: StorageIo, directory: string): Promise<unknown[]> {
  await using recovery = await PerCoreRecovery.open({ directory, io });
  const found: unknown[] = [];
  for await (const entry of recovery.entries()) found.push(contentOf(entry));
  return found;
}

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('a writer has the log of its core, and every entry is read as it was appended', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const writer = await CoreWalWriter.open(3, directory, { io });
    expect(writer.directory).toBe(join(directory, 'core-3'));
    expect([writer.coreId, writer.epoch, writer.position, writer.lastLsn]).toEqual([3, 1, 0, 0]);
    writer.appendPut('alpha', 'one');
    writer.appendPut(Uint8Array.of(0, 255), new Uint8Array(100_000).fill(120));
    writer.appendDelete('alpha');
    writer.appendCheckpoint(17);
    writer.appendEpochBarrier();
    writer.appendCommit({ orders: 12, payments: 2n ** 64n - 1n }, -(2n ** 63n));
    writer.appendCommit(new Map([['orders', 13]]));
    await writer.close();
    expect(await readAll(io, directory)).toEqual([
      ['put', 'alpha', 'one'],
      ['put', Buffer.from([0, 255]).toString(), 'x'.repeat(100_000)],
      ['delete', 'alpha'],
      ['checkpoint', 17],
      ['epochBarrier', 1],
      ['commit', { orders: 12n, payments: 2n ** 64n - 1n }, -(2n ** 63n)],
      ['commit', { orders: 13n }, undefined],
    ]);
  });

  test('append accepts an entry of each kind', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const writer = await CoreWalWriter.open(0, directory, { io });
    const positions = [
      writer.append({ operation: 'put', key: 'k', value: 'v' }),
      writer.append({ operation: 'delete', key: 'k' }),
      writer.append({ operation: 'checkpoint', checkpointId: 4 }),
      writer.append({ operation: 'commit', offsets: { a: 1 }, watermark: 5 }),
      writer.append({ operation: 'epochBarrier' }),
      writer.append({ operation: 'epochBarrier', last: true }),
    ];
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(() => writer.append({ operation: 'put', key: 'k', value: 'v' })).toThrow(
      coded('WAL_STATE', { state: 'left' }),
    );
    await writer.close();
    expect(await readAll(io, directory)).toEqual([
      ['put', 'k', 'v'],
      ['delete', 'k'],
      ['checkpoint', 4],
      ['commit', { a: 1n }, 5n],
      ['epochBarrier', 1],
      ['epochBarrier', 2, 'last'],
    ]);
  });

  test('position is after the last entry, syncedPosition after the last synced one', async () => {
    await using io = create();
    const writer = await CoreWalWriter.open(0, directoryFor(io), { io });
    const first = writer.appendPut('a', '1');
    expect([writer.position, writer.syncedPosition, writer.entriesSinceSync]).toEqual([first, 0, 1]);
    await writer.sync();
    expect([writer.position, writer.syncedPosition, writer.entriesSinceSync]).toEqual([first, first, 0]);
    const second = writer.appendPut('b', '2');
    const third = writer.appendDelete('b');
    expect(third).toBeGreaterThan(second);
    await writer.flush();
    expect([writer.position, writer.syncedPosition, writer.entriesSinceSync]).toEqual([third, first, 2]);
    await writer.sync();
    expect([writer.syncedPosition, writer.entriesSinceSync]).toEqual([third, 0]);
    await writer.close();
  });

  test('a submitted sync advances to the boundary at its submission', async () => {
    await using io = create();
    const writer = await CoreWalWriter.open(0, directoryFor(io), { io });
    expect([writer.isSyncPending, writer.checkCompletions()]).toEqual([false, false]);
    const boundary = writer.appendPut('a', '1');
    const token = writer.submitSync();
    expect(writer.isSyncPending).toBe(true);
    expect(() => writer.submitSync()).toThrow(coded('WAL_STATE', { state: 'sync-pending' }));
    const behind = writer.appendPut('b', '2');
    while (!writer.checkCompletions()) await new Promise(setImmediate);
    expect([writer.isSyncPending, writer.syncedPosition, writer.entriesSinceSync]).toEqual([false, boundary, 1]);
    expect(writer.submitSync()).toBeGreaterThan(token);
    while (!writer.checkCompletions()) await new Promise(setImmediate);
    expect([writer.syncedPosition, writer.entriesSinceSync]).toEqual([behind, 0]);
    await writer.close();
  });

  test('openAt drops everything after a position, and continues in a new segment', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const writer = await CoreWalWriter.open(5, directory, { io });
    writer.appendPut('a', '1');
    const position = writer.appendPut('b', '2');
    writer.appendEpochBarrier();
    writer.appendPut('c', '3');
    await writer.close();
    await expect(CoreWalWriter.openAt(5, directory, position - 1, { io })).rejects.toEqual(coded('WAL_RANGE'));
    await expect(CoreWalWriter.openAt(5, directory, 2 ** 40, { io })).rejects.toEqual(coded('WAL_RANGE'));
    const again = await CoreWalWriter.openAt(5, directory, position, { io });
    expect([again.lastLsn, again.epoch, again.entriesSinceSync]).toEqual([2, 1, 0]);
    expect(again.position).toBeGreaterThan(position);
    expect(again.position).toBe(again.syncedPosition);
    again.appendPut('d', '4');
    await again.close();
    expect(await readAll(io, directory)).toEqual([
      ['put', 'a', '1'],
      ['put', 'b', '2'],
      ['put', 'd', '4'],
    ]);
  });

  test('openAt position 0 drops everything', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const writer = await CoreWalWriter.open(5, directory, { io });
    writer.appendPut('a', '1');
    await writer.close();
    const again = await CoreWalWriter.openAt(5, directory, 0, { io });
    expect([again.lastLsn, again.position]).toEqual([0, 0]);
    again.appendPut('b', '2');
    await again.close();
    expect(await readAll(io, directory)).toEqual([['put', 'b', '2']]);
  });
});

describe('the blocking calls', () => {
  test('do the same as the asynchronous ones', () => {
    const directory = join(temporaryDirectory(), 'log');
    const writer = CoreWalWriter.openSync(1, directory, { io: 'sync-fs' });
    const position = writer.appendPut('a', '1');
    writer.flushSync();
    writer.appendPut('b', '2');
    writer.syncSync();
    expect(writer.syncedPosition).toBe(writer.position);
    writer.closeSync();
    {
      using again = CoreWalWriter.openAtSync(1, directory, position, { io: 'sync-fs' });
      again.appendPut('c', '3');
    }
    using recovery = PerCoreRecovery.openSync({ directory, io: 'sync-fs' });
    expect(contentsOf(recovery.entries())).toEqual([
      ['put', 'a', '1'],
      ['put', 'c', '3'],
    ]);
  });

  test('await using closes, and later calls are rejected', async () => {
    let closed: CoreWalWriter;
    {
      await using writer = CoreWalWriter.openSync(1, '/log', { io: createMemoryStorageIo() });
      closed = writer;
    }
    expect(() => closed.appendPut('a', '1')).toThrow(coded('WAL_CLOSED'));
    expect(() => closed.submitSync()).toThrow(coded('WAL_CLOSED'));
  });
});

test('segments roll, and positions continue across segments and reopening', () => {
  const io = createMemoryStorageIo();
  const positions: number[] = [];
  for (let life = 0; life < 3; life++) {
    const writer = CoreWalWriter.openSync(0, '/log', { io, segmentBytes: 8192 });
    expect(writer.position).toBeGreaterThanOrEqual(positions.at(-1) ?? 0);
    for (let entry = 0; entry < 20; entry++) positions.push(writer.appendPut(`key ${entry}`, 'x'.repeat(1000)));
    writer.closeSync();
  }
  expect(positions).toEqual([...new Set(positions)].sort((a, b) => a - b));
  expect(io.list('/log/core-0').filter((name) => name.endsWith('.seg')).length).toBeGreaterThan(6);
});

describe('markSynced', () => {
  test('moves syncedPosition, and makes nothing durable', () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    const writer = CoreWalWriter.openSync(0, '/log', { io });
    writer.appendPut('a', '1');
    writer.syncSync();
    writer.appendPut('b', '2');
    writer.flushSync();
    writer.markSynced();
    expect([writer.syncedPosition, writer.entriesSinceSync]).toEqual([writer.position, 0]);
    const after = disk.crash('none').createStorageIo();
    using recovery = PerCoreRecovery.openSync({ directory: '/log', io: after });
    expect(contentsOf(recovery.entries())).toEqual([['put', 'a', '1']]);
  });
});

describe('a failed sync', () => {
  test('that was submitted is thrown by checkCompletions, and the writer accepts nothing more', () => {
    const disk = new SimulatedDisk();
    const io = disk.createStorageIo();
    const writer = CoreWalWriter.openSync(0, '/log', { io });
    writer.appendPut('a', '1');
    disk.failWhen(({ kind }) => (kind === 'datasync' ? 'EIO' : undefined));
    writer.submitSync();
    expect(() => writer.checkCompletions()).toThrow(coded('WAL_IO_FAILED'));
    disk.failWhen(undefined);
    expect([writer.isSyncPending, writer.syncedPosition]).toEqual([false, 0]);
    expect(writer.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
    for (const refused of [() => writer.appendPut('b', '2'), () => writer.syncSync(), () => writer.submitSync()]) {
      expect(refused).toThrow(coded('WAL_IO_FAILED'));
    }
  });
});

describe('epochs of a standalone writer', () => {
  test('only increase, and a barrier precedes the first entry of each', async () => {
    const io = createMemoryStorageIo();
    const writer = CoreWalWriter.openSync(0, '/log', { io });
    writer.appendPut('a', '1');
    writer.epoch = 4;
    writer.epoch = 4;
    expect(writer.epoch).toBe(4);
    expect(writer.barrier).toBeUndefined();
    const before = writer.lastLsn;
    writer.appendPut('b', '2');
    expect(writer.lastLsn).toBe(before + 2);
    expect(writer.barrier).toMatchObject({ epoch: 3, lsn: 2 });
    expect(() => {
      writer.epoch = 3;
    }).toThrow(coded('ERR_OUT_OF_RANGE'));
    writer.appendEpochBarrier();
    expect(writer.epoch).toBe(5);
    writer.appendPut('c', '3');
    writer.closeSync();
    const again = CoreWalWriter.openSync(0, '/log', { io });
    expect(again.epoch).toBe(5);
    again.closeSync();
    await using recovery = await PerCoreRecovery.open({ directory: '/log', io });
    expect([...recovery.entries()].map((entry) => [entry.epoch, entry.sequence, entry.operation])).toEqual([
      [1, 1, 'put'],
      [3, 2, 'epochBarrier'],
      [4, 3, 'put'],
      [4, 4, 'epochBarrier'],
      [5, 5, 'put'],
    ]);
  });
});

describe('shared epochs', () => {
  test('are seen by every writer at its next entry, after a barrier', () => {
    const io = createMemoryStorageIo();
    const epochs = SharedEpochs.create();
    const elsewhere = SharedEpochs.from(epochs.buffer);
    const writers = [0, 1].map((coreId) => CoreWalWriter.openSync(coreId, '/log', { io, epochs: elsewhere }));
    const [one, two] = writers as [CoreWalWriter, CoreWalWriter];
    one.appendPut('a', '1');
    expect(epochs.advance()).toBe(2);
    expect([elsewhere.current, one.epoch, two.epoch]).toEqual([2, 2, 2]);
    one.appendPut('b', '2');
    expect(one.barrier).toMatchObject({ epoch: 1, lsn: 2 });
    expect(two.barrier).toBeUndefined();
    two.appendEpochBarrier();
    two.appendEpochBarrier();
    expect(two.barrier).toMatchObject({ epoch: 1, lsn: 1 });
    expect(two.lastLsn).toBe(1);
    expect(() => {
      one.epoch = 7;
    }).toThrow(coded('WAL_STATE', { state: 'shared-epochs' }));
    for (const writer of writers) writer.closeSync();
    const behind = SharedEpochs.create(1);
    expect(() => CoreWalWriter.openSync(0, '/log', { io, epochs: behind })).toThrow(coded('ERR_OUT_OF_RANGE'));
  });

  test('count up to the largest safe integer', () => {
    const epochs = SharedEpochs.create(2 ** 32 - 1);
    const { mark } = epochs;
    expect(epochs.advance()).toBe(2 ** 32);
    expect([epochs.current, epochs.mark === mark]).toEqual([2 ** 32, false]);
    const last = Number.MAX_SAFE_INTEGER - 1;
    const ending = SharedEpochs.create(last - 1);
    expect(ending.advance()).toBe(last);
    expect(() => ending.advance()).toThrow(coded('WAL_RANGE', { limit: last }));
    expect(ending.current).toBe(last);
    // Its successor could not be decoded.
    expect(() => SharedEpochs.create(Number.MAX_SAFE_INTEGER)).toThrow(RangeError);
    expect(() => SharedEpochs.create(0)).toThrow(RangeError);
    expect(() => SharedEpochs.from(new ArrayBuffer(64) as unknown as SharedArrayBuffer)).toThrow(TypeError);
    expect(() => SharedEpochs.from(new SharedArrayBuffer(8))).toThrow(RangeError);
  });
});

test('the time of entries never decreases, also across reopening', async () => {
  const io = createMemoryStorageIo();
  const clock = new ManualTime();
  for (const times of [[10, 5, 20.5, 7], [3]]) {
    const writer = CoreWalWriter.openSync(0, '/log', { io, now: clock.now });
    for (const time of times) {
      clock.time = 1_700_000_000_000 + time;
      writer.appendPut('k', 'v');
    }
    writer.closeSync();
  }
  await using recovery = await PerCoreRecovery.open({ directory: '/log', io });
  const times = [...recovery.entries()].map(({ timestampUs }) => timestampUs - 1_700_000_000_000_000);
  expect(times).toEqual([10_000, 10_000, 20_500, 20_500, 20_500]);
});

test('full memory is reported before anything is appended, including the barrier of an epoch', () => {
  const io = createMemoryStorageIo();
  const epochs = SharedEpochs.create();
  const writer = CoreWalWriter.openSync(0, '/log', { io, epochs, maxPendingBytes: 1000 });
  writer.appendPut('k', 'x'.repeat(900));
  epochs.advance();
  const before = writer.position;
  expect(() => writer.appendPut('k', 'v')).toThrow(coded('WAL_BACKPRESSURE'));
  expect([writer.position, writer.barrier]).toEqual([before, undefined]);
  writer.flushSync();
  writer.appendPut('k', 'v');
  expect(writer.barrier).toMatchObject({ epoch: 1 });
  writer.closeSync();
});

test('truncateBefore removes segments', async () => {
  const io = createMemoryStorageIo();
  const writer = CoreWalWriter.openSync(0, '/log', { io, segmentBytes: 8192 });
  for (let entry = 0; entry < 30; entry++) writer.appendPut('k', 'x'.repeat(1000));
  writer.syncSync();
  expect((await writer.truncateBefore(15)).segmentsDeleted).toBeGreaterThan(0);
  expect(writer.truncateBeforeSync(28).segmentsDeleted).toBeGreaterThan(0);
  writer.closeSync();
});

describe('wrong arguments', () => {
  const io = createMemoryStorageIo();
  const open = (coreId: unknown, directory: unknown = '/log', options: unknown = { io }): unknown =>
    CoreWalWriter.openSync(coreId as number, directory as string, options as object);

  test.each<readonly [string, () => unknown, string]>([
    ['a core that is not a number', () => open('0'), 'ERR_INVALID_ARG_TYPE'],
    ['a negative core', () => open(-1), 'ERR_OUT_OF_RANGE'],
    ['a core of more than 32 bits', () => open(2 ** 32), 'ERR_OUT_OF_RANGE'],
    ['a directory that is not a path', () => open(0, 7), 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', () => open(0, '/log', { io, segmentByte: 1 }), 'ERR_INVALID_ARG_TYPE'],
    ['epochs that are not a SharedEpochs', () => open(0, '/log', { io, epochs: {} }), 'ERR_INVALID_ARG_TYPE'],
    ['a negative position', () => CoreWalWriter.openAtSync(0, '/log', -1, { io }), 'ERR_OUT_OF_RANGE'],
  ])('%s', (_what, call, code) => {
    expect(call).toThrow(coded(code));
    expect(existsSync('/log')).toBe(false);
  });

  test('of appends are rejected with nothing appended', () => {
    const writer = CoreWalWriter.openSync(0, '/arguments', { io });
    const wrong: readonly (readonly [() => unknown, string])[] = [
      [() => writer.appendPut(1 as unknown as string, 'v'), 'ERR_INVALID_ARG_TYPE'],
      [() => writer.appendPut('k', undefined as unknown as string), 'ERR_INVALID_ARG_TYPE'],
      [() => writer.appendPut('k'.repeat(65_536), 'v'), 'WAL_TOO_LARGE'],
      [() => writer.appendDelete(null as unknown as string), 'ERR_INVALID_ARG_TYPE'],
      [() => writer.appendCheckpoint(-1), 'ERR_OUT_OF_RANGE'],
      [() => writer.appendCheckpoint('1' as unknown as number), 'ERR_INVALID_ARG_TYPE'],
      [() => writer.appendCommit({ a: -1 }), 'ERR_OUT_OF_RANGE'],
      [() => writer.appendCommit({ a: 1.5 }), 'ERR_OUT_OF_RANGE'],
      [() => writer.appendCommit({ a: 2n ** 64n }), 'ERR_OUT_OF_RANGE'],
      [() => writer.appendCommit({ ['a'.repeat(65_536)]: 1 }), 'ERR_OUT_OF_RANGE'],
      [() => writer.appendCommit(undefined as unknown as object as never), 'ERR_INVALID_ARG_TYPE'],
      [() => writer.appendCommit({}, 2n ** 63n), 'ERR_OUT_OF_RANGE'],
      [() => writer.appendCommit({}, 'x' as unknown as number), 'ERR_INVALID_ARG_TYPE'],
      [() => writer.appendEpochBarrier({ last: 1 as unknown as boolean }), 'ERR_INVALID_ARG_TYPE'],
      [
        () => writer.append({ operation: 'take' } as unknown as Parameters<typeof writer.append>[0]),
        'ERR_OUT_OF_RANGE',
      ],
      [() => writer.append(undefined as unknown as Parameters<typeof writer.append>[0]), 'ERR_INVALID_ARG_TYPE'],
    ];
    for (const [call, code] of wrong) expect(call).toThrow(coded(code));
    expect(writer.lastLsn).toBe(0);
    writer.closeSync();
  });
});
