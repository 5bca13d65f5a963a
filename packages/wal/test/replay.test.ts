import { SegmentedWal } from '@walstack/segmented';
import { createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';
import { Wal, type WalEvent } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { CountedFiles } from './support/counted-files.js';
import { textsOf } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

/** Events of a log whose payloads contain their LSN. */
function appendEvents(wal: Wal, count: number): void {
  for (let each = 0; each < count; each++) wal.append(`event ${wal.lastLsn + 1}`);
}

const lsnIn = (event: WalEvent): number => Number(text(event.payload).slice('event '.length));

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('replay passes every event from the first or from an LSN on, and returns their number', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, segmentBytes: 4096, blockBytes: 512 });
    appendEvents(wal, 500);
    for (const from of ['first', 1, 2, 250, 500, 501] as const) {
      const found: number[] = [];
      const count = await wal.replay(from, (event) => found.push(event.lsn));
      const first = from === 'first' ? 1 : from;
      expect(found).toEqual(Array.from({ length: 501 - first }, (_, index) => first + index));
      expect(count).toBe(found.length);
    }
  });

  test('read returns one event, and undefined for an LSN that is not assigned', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, segmentBytes: 4096, blockBytes: 512 });
    appendEvents(wal, 500);
    for (const lsn of [1, 2, 250, 499, 500]) {
      const event = await wal.read(lsn);
      expect([event?.lsn, event && lsnIn(event)]).toEqual([lsn, lsn]);
    }
    expect(await wal.read(501)).toBeUndefined();
    await wal.truncateBefore(300);
    expect(await rejection(wal.read(1))).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
  });

  test('a replay returns only events that match its filter', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, segmentBytes: 4096, blockBytes: 512 });
    for (let lsn = 1; lsn <= 100; lsn++) wal.append(`event ${lsn}`, { type: lsn % 3, tenantId: lsn % 2 });
    const found: number[] = [];
    await wal.replay('first', ({ lsn }) => found.push(lsn), { types: [1], scope: { tenantId: 0 }, to: 50 });
    expect(found).toEqual([4, 10, 16, 22, 28, 34, 40, 46]);
  });

  test('events that are not written yet are replayed', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, ...new ManualTime().options });
    appendEvents(wal, 3);
    expect(wal.stats().pendingBytes).toBeGreaterThan(0);
    expect(await textsOf(wal)).toEqual(['event 1', 'event 2', 'event 3']);
  });

  test('a replay ends with the last event appended when it began', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    appendEvents(wal, 100);
    const count = await wal.replay('first', async (event) => {
      expect(event.lsn).toBe(lsnIn(event));
      await wal.commit(`event ${wal.lastLsn + 1}`);
    });
    expect([count, wal.lastLsn]).toEqual([100, 200]);
  });

  test('an iteration ends with the last event appended when it began, and each one reads from the beginning', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    appendEvents(wal, 3);
    const iterator = wal.iterator(2);
    appendEvents(wal, 2);
    const rounds: number[][] = [];
    for (let round = 0; round < 2; round++) {
      const found: number[] = [];
      for await (const event of iterator) {
        found.push(event.lsn);
        if (found.length === 1) appendEvents(wal, 1);
      }
      rounds.push(found);
    }
    expect(rounds).toEqual([
      [2, 3, 4, 5],
      [2, 3, 4, 5, 6],
    ]);
  });

  test('events are copies: they do not change, and share no byte', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    const filler = 'x'.repeat(1000);
    for (let each = 0; each < 1000; each++) wal.append(`event ${each + 1}`, { meta: filler });
    const events: WalEvent[] = [];
    await wal.replay('first', (event) => events.push(event));
    expect(events.map(lsnIn)).toEqual(events.map((event) => event.lsn));
    for (const [index, { payload, meta }] of events.entries()) {
      payload.fill(0);
      meta.fill(0);
      expect(events.slice(index + 1).every((event) => lsnIn(event) === event.lsn)).toBe(true);
    }
  });

  test('with copy: false events are views of one buffer, valid during the callback', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    appendEvents(wal, 100);
    const buffers = new Set<ArrayBufferLike>();
    await wal.replay(
      'first',
      (event) => {
        expect(lsnIn(event)).toBe(event.lsn);
        buffers.add(event.payload.buffer);
      },
      { copy: false },
    );
    for await (const event of wal.iterator('first', { copy: false })) expect(lsnIn(event)).toBe(event.lsn);
    expect(buffers.size).toBe(1);
  });

  test('a promise of the callback is awaited before the next event', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    appendEvents(wal, 5);
    const steps: string[] = [];
    await wal.replay('first', async ({ lsn }) => {
      steps.push(`begin ${lsn}`);
      await new Promise(setImmediate);
      steps.push(`end ${lsn}`);
    });
    expect(steps).toEqual([1, 2, 3, 4, 5].flatMap((lsn) => [`begin ${lsn}`, `end ${lsn}`]));
  });

  test('commits continue during a replay', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, segmentBytes: 4096, blockBytes: 512 });
    appendEvents(wal, 2000);
    const replayed: number[] = [];
    const [, lsns] = await Promise.all([
      wal.replay('first', async ({ lsn }) => {
        replayed.push(lsn);
        if (lsn % 100 === 0) await new Promise(setImmediate);
      }),
      Promise.all(Array.from({ length: 50 }, (_, index) => wal.commit(`event ${2001 + index}`))),
    ]);
    expect(replayed.slice(0, 2000)).toEqual(Array.from({ length: 2000 }, (_, index) => index + 1));
    expect(lsns.at(-1)).toBe(2050);
    expect((await textsOf(wal)).length).toBe(2050);
  });
});

describe('what ends a replay closes its file', () => {
  const opened = async (): Promise<{ disk: StepDisk; wal: Wal; idle: number }> => {
    const disk = new StepDisk(false, false);
    const wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io, segmentBytes: 4096, blockBytes: 512 });
    appendEvents(wal, 500);
    await wal.sync();
    return { disk, wal, idle: disk.openFiles };
  };

  test('its end', async () => {
    const { disk, wal, idle } = await opened();
    await wal.replay('first', () => expect(disk.openFiles).toBe(idle + 1));
    expect(disk.openFiles).toBe(idle);
    await wal.shutdown();
    expect(disk.openFiles).toBe(0);
  });

  test.each([
    [
      'throws',
      (error: Error): never => {
        throw error;
      },
    ],
    ['rejects', (error: Error) => Promise.reject(error)],
  ])('a callback that %s, and its error comes out', async (_what, fail) => {
    const { disk, wal, idle } = await opened();
    const error = new Error('enough');
    const found: number[] = [];
    const replay = wal.replay('first', ({ lsn }) => {
      found.push(lsn);
      return lsn === 300 ? fail(error) : undefined;
    });
    expect(await rejection(replay)).toBe(error);
    expect([found.length, disk.openFiles]).toEqual([300, idle]);
    await wal.shutdown();
  });

  test('leaving for await with break and with an error', async () => {
    const { disk, wal, idle } = await opened();
    for await (const event of wal.iterator(100)) {
      expect(disk.openFiles).toBe(idle + 1);
      if (event.lsn === 150) break;
    }
    expect(disk.openFiles).toBe(idle);
    const error = new Error('enough');
    const loop = async (): Promise<void> => {
      for await (const event of wal.iterator()) if (event.lsn === 5) throw error;
    };
    expect(await rejection(loop())).toBe(error);
    expect(disk.openFiles).toBe(idle);
    await wal.shutdown();
  });

  test('a read that fails, which is no failure of the log', async () => {
    const { disk, wal, idle } = await opened();
    disk.fail('read', 'EIO');
    expect(await rejection(wal.replay('first', () => {}))).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    expect(disk.openFiles).toBe(idle);
    disk.heal();
    expect(wal.failure).toBeUndefined();
    expect(await wal.replay('first', () => {})).toBe(500);
    await wal.shutdown();
  });
});

describe('for … of', () => {
  test('reads in the thread if the backend can wait, and closes its file when the loop ends', async () => {
    const disk = new CountedFiles();
    await using wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io });
    appendEvents(wal, 10);
    expect([...wal.iterator(8)].map(lsnIn)).toEqual([8, 9, 10]);
    const idle = disk.open;
    for (const event of wal.iterator()) {
      expect(disk.open).toBe(idle + 1);
      if (event.lsn === 5) break;
    }
    expect(disk.open).toBe(idle);
    const error = new Error('enough');
    const loop = (): void => {
      for (const event of wal.iterator()) if (event.lsn === 5) throw error;
    };
    expect(thrown(loop)).toBe(error);
    expect(disk.open).toBe(idle);
  });

  test('throws if the backend cannot wait', async () => {
    await using io = createThreadPoolStorageIo();
    await using wal = await Wal.open(directoryFor(io), { io });
    appendEvents(wal, 1);
    expect(thrown(() => [...wal.iterator()])).toMatchObject({ code: 'WAL_UNSUPPORTED' });
    expect(await textsOf(wal)).toEqual(['event 1']);
  });
});

describe('where it may begin', () => {
  test('before the first LSN in the log: WAL_TRUNCATED with that LSN', async () => {
    await using io = createSyncFsStorageIo();
    const directory = directoryFor(io);
    const log = SegmentedWal.openSync({ directory, io, segmentBytes: 1024, blockBytes: 512 });
    for (let lsn = 1; lsn <= 100; lsn++) {
      log.append(`event ${lsn}`);
      log.syncSync();
    }
    log.truncateBeforeSync(50);
    const { firstLsn } = log;
    log.closeSync();
    expect(firstLsn).toBeGreaterThan(1);

    await using wal = await Wal.open(directory, { io });
    expect(wal.firstLsn).toBe(firstLsn);
    const truncated = { code: 'WAL_TRUNCATED', firstLsn, lsn: 1 };
    expect(await rejection(wal.replay(1, () => {}))).toMatchObject(truncated);
    expect(thrown(() => wal.iterator(1))).toMatchObject(truncated);
    expect((await textsOf(wal))[0]).toBe(`event ${firstLsn}`);
    expect((await textsOf(wal, firstLsn)).length).toBe(101 - firstLsn);
  });

  test('at the next LSN, which is empty, and not beyond it', async () => {
    await using io = createSyncFsStorageIo();
    await using wal = await Wal.open(directoryFor(io), { io });
    appendEvents(wal, 2);
    expect(await wal.replay(3, () => {})).toBe(0);
    expect(await rejection(wal.replay(4, () => {}))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
    expect(thrown(() => wal.iterator(4))).toMatchObject({ name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
  });

  test.each([
    ['0', 0, 'ERR_OUT_OF_RANGE'],
    ['below 0', -1, 'ERR_OUT_OF_RANGE'],
    ['fractional', 1.5, 'ERR_OUT_OF_RANGE'],
    ['NaN', Number.NaN, 'ERR_OUT_OF_RANGE'],
    ['another word', 'last', 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
  ])('not at %s', async (_what, from, code) => {
    await using io = createSyncFsStorageIo();
    await using wal = await Wal.open(directoryFor(io), { io });
    expect(await rejection(wal.replay(from as number, () => {}))).toMatchObject({ code });
    expect(thrown(() => wal.iterator(from as number))).toMatchObject({ code });
  });

  test('with wrong arguments nothing is read', async () => {
    await using io = createSyncFsStorageIo();
    await using wal = await Wal.open(directoryFor(io), { io });
    const invalid = { code: 'ERR_INVALID_ARG_TYPE' };
    expect(await rejection(wal.replay('first', undefined as never))).toMatchObject(invalid);
    expect(await rejection(wal.replay('first', () => {}, { copies: true } as never))).toMatchObject(invalid);
    expect(thrown(() => wal.iterator('first', 5 as never))).toMatchObject(invalid);
    expect(thrown(() => wal.iterator('first', { copy: 'no' } as never))).toMatchObject(invalid);
  });
});

test('a log that begins with another LSN is truncated before it', async () => {
  await using io = createSyncFsStorageIo();
  await using wal = await Wal.open(directoryFor(io), { io, firstLsn: 100 });
  expect(await rejection(wal.replay(99, () => {}))).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: 100 });
  expect(await textsOf(wal)).toEqual([]);
  await wal.commit('event 100');
  expect(await textsOf(wal, 100)).toEqual(['event 100']);
});
