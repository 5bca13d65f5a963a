import { type Batch, Wal, type WalEvent, type WalFollower } from '@walstack/wal';
import { describe, expect, expectTypeOf, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const small = { segmentBytes: 4096, blockBytes: 512, recycleSegments: 0 };

/** The next `count` events, as text. */
async function take(follower: WalFollower<WalEvent>, count: number): Promise<string[]> {
  const found: string[] = [];
  while (found.length < count) {
    const { value, done } = await follower.next();
    if (done === true || value === undefined) throw new Error('it has ended');
    found.push(text(value.payload));
  }
  return found;
}

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('follow returns the existing events, and then committed ones, in order', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    await wal.commit('a');
    const follower = wal.follow();
    expect(await take(follower, 1)).toEqual(['a']);
    const following = take(follower, 2);
    const next = watch(following);
    await turns();
    expect(next.state).toBe('pending');
    await Promise.all([wal.commit('b'), wal.commit('c')]);
    expect(await following).toEqual(['b', 'c']);
    await follower.return();
  });

  test('each record comes once, in order, while a writer commits across 50 rolls and truncations', async () => {
    turnsByLooks(0);
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, ...small });
    const count = 3000;
    const writing = (async () => {
      for (let each = 0; each < count / 50; each++) {
        await Promise.all(Array.from({ length: 50 }, () => wal.commit(`event ${wal.lastLsn + 1}`.padEnd(100, '.'))));
        await wal.truncateBefore(wal.durableLsn);
      }
    })();
    let expected = 1;
    for await (const { lsn, payload } of wal.follow('first')) {
      if (lsn !== expected || text(payload) !== `event ${lsn}`.padEnd(100, '.')) expect(lsn).toBe(expected);
      expected++;
      if (lsn === count) break;
    }
    await writing;
    expect(wal.stats().rolls).toBeGreaterThan(50);
    expect(wal.firstLsn).toBeGreaterThan(count / 2);
  });
});

const opened = async (options = {}): Promise<{ disk: StepDisk; wal: Wal; directory: string }> => {
  const disk = new StepDisk(false, false);
  const directory = `${temporaryDirectory()}/log`;
  const time = new ManualTime().options;
  return { disk, directory, wal: await Wal.open(directory, { io: disk.io, markAfterMs: 0, ...time, ...options }) };
};

describe('what a follower returns', () => {
  test('is durable, whichever call made it so', async () => {
    const { wal, disk } = await opened();
    const follower = wal.follow();
    const events = watch(take(follower, 1));
    wal.append('a');
    await wal.flush();
    await turns();
    expect(events.state).toBe('pending');
    disk.hold('datasync');
    const sync = wal.sync();
    await disk.held('datasync');
    await turns();
    expect(events.state).toBe('pending');
    disk.releaseAll('datasync');
    await sync;
    await turns();
    expect(events.value).toEqual(['a']);
    await follower.return();
    await wal.shutdown();
  });

  test('includes flushed events with durableOnly: false', async () => {
    const { wal } = await opened();
    const follower = wal.follow(1, { durableOnly: false });
    const events = watch(take(follower, 2));
    wal.appendBatch(wal.batch().add('a').add('b'));
    await turns();
    expect(events.state).toBe('pending');
    await wal.flush();
    await turns();
    expect([events.value, wal.durableLsn]).toEqual([['a', 'b'], 0]);
    await follower.return();
    await wal.shutdown();
  });

  test('comes in arrays with batch', async () => {
    const { wal } = await opened();
    for (let each = 1; each <= 10; each++) await wal.commit(`${each}`);
    const follower = wal.follow('first', { batch: 4 });
    expectTypeOf(follower).toEqualTypeOf<WalFollower<readonly WalEvent[]>>();
    const sizes: number[] = [];
    for await (const events of follower) {
      sizes.push(events.length);
      if (events.at(-1)?.lsn === 10) break;
    }
    expect(sizes).toEqual([4, 4, 2]);
    await wal.shutdown();
  });

  test('matches the filter by type, scope and time', async () => {
    const time = new ManualTime();
    const { wal } = await opened(time.options);
    for (let lsn = 1; lsn <= 30; lsn++) {
      time.time += 1000;
      await wal.commit(`${lsn}`, { type: lsn % 3, ...(lsn % 2 === 0 ? { tenantId: lsn % 4 } : {}) });
    }
    const begun = time.time - 20_000;
    const wanted = { types: [0, 1], scope: { tenantId: 2 }, fromTimeMs: begun };
    const follower = wal.follow(1, wanted);
    expect(await take(follower, 3)).toEqual(['10', '18', '22']);
    expect(await take(follower, 1)).toEqual(['30']);
    const next = watch(take(follower, 1));
    await wal.commit('unwanted', { type: 2, tenantId: 2 });
    await wal.commit('wanted', { type: 1, tenantId: 2 });
    await turns();
    expect(next.value).toEqual(['wanted']);
    await follower.return();
    for (const wrong of [{ types: 5 }, { types: [-1] }, { scope: { tenant: 1 } }, { fromTimeMs: 'now' }]) {
      expect(thrown(() => wal.follow(1, wrong as never))).toHaveProperty('code', expect.stringMatching(/^ERR_/));
    }
    await wal.shutdown();
  });

  test('is decoded only when it matches the filter', async () => {
    const before = await opened({ compression: { codec: 'deflate', thresholdBytes: 100 } });
    await before.wal.commit('a', { type: 1 });
    await before.wal.commit('x'.repeat(4000), { type: 2 });
    await before.wal.commit('b', { type: 1 });
    await before.wal.shutdown();
    const wal = await Wal.open(before.directory, { io: before.disk.io, maxPayloadBytes: 1000 });
    const follower = wal.follow('first', { types: [1] });
    expect(await take(follower, 2)).toEqual(['a', 'b']);
    expect(follower.resumePoint?.lsn).toBe(4);
    await follower.return();
    expect(await rejection(wal.follow(2).next())).toMatchObject({ code: 'WAL_TOO_LARGE' });
    await wal.shutdown();
  });

  test('has the type of the encoding', async () => {
    const disk = new StepDisk();
    await using wal = await Wal.open<{ id: number }>(`${temporaryDirectory()}/log`, { io: disk.io, encoding: 'json' });
    await wal.commit({ id: 5 });
    for await (const { payload } of wal.follow()) {
      expect(payload.id).toBe(5);
      break;
    }
  });

  test('can begin with an LSN that is not assigned yet', async () => {
    const { wal } = await opened();
    const events = watch(take(wal.follow(3), 1));
    for (const each of ['a', 'b']) await wal.commit(each);
    await turns();
    expect(events.state).toBe('pending');
    await wal.commit('c');
    await turns();
    expect(events.value).toEqual(['c']);
    await wal.shutdown();
  });

  test('are views with copy: false, valid until the next request', async () => {
    const { wal } = await opened();
    for (let lsn = 1; lsn <= 20; lsn++) await wal.commit(`event ${lsn}`);
    for await (const { lsn, payload } of wal.follow(1, { copy: false })) {
      expect(text(payload)).toBe(`event ${lsn}`);
      if (lsn === 20) break;
    }
    await wal.shutdown();
  });
});

describe('it is woken', () => {
  test('without a timer', async () => {
    const time = new ManualTime();
    const { wal } = await opened(time.options);
    const follower = wal.follow();
    const events = watch(take(follower, 3));
    await turns();
    expect(time.waiting).toEqual([]);
    await wal.commit('a');
    await wal.commitBatch(wal.batch().add('b').add('c') as unknown as Batch);
    await turns();
    expect([events.value, time.waiting]).toEqual([['a', 'b', 'c'], []]);
    await follower.return();
    await wal.shutdown();
  });

  test('by a truncation that rolls', async () => {
    const { wal } = await opened();
    const follower = wal.follow();
    const events = watch(take(follower, 2));
    wal.append('a');
    wal.append('b');
    const truncated = await wal.truncateBefore(1);
    expect(truncated.segmentsDeleted).toBe(0);
    await wal.checkpoint(2);
    await turns();
    expect(events.value).toEqual(['a', 'b']);
    await follower.return();
    await wal.shutdown();
  });
});

describe('truncation', () => {
  test('keeps what a follower has not read yet, and only while it reads', async () => {
    turnsByLooks(0);
    const { wal } = await opened(small);
    for (let lsn = 1; lsn <= 100; lsn++) await wal.commit(`event ${lsn}`.padEnd(300, '.'));
    const follower = wal.follow(1, { batch: 10 });
    await follower.next();
    await wal.truncateBefore(101);
    expect(wal.firstLsn).toBeLessThanOrEqual(11);
    let last = 10;
    while (last < 100) {
      const { value } = await follower.next();
      expect(value?.[0]?.lsn).toBe(last + 1);
      last = value?.at(-1)?.lsn as number;
    }
    await wal.truncateBefore(90);
    expect(wal.firstLsn).toBeGreaterThan(70);
    const stuck = wal.follow(wal.firstLsn, { batch: 1 });
    await stuck.next();
    await wal.truncateBefore(101);
    expect(wal.firstLsn).toBeLessThan(90);
    await stuck.return();
    await wal.truncateBefore(101);
    expect(wal.firstLsn).toBe(101);
    await follower.return();
    await wal.shutdown();
  });

  test('retention keeps it as well', async () => {
    const { wal } = await opened({ ...small, retainBytes: 4096, retainUntilCheckpoint: false });
    const fill = async (): Promise<void> => {
      for (let each = 1; each <= 50; each++) await wal.commit('x'.repeat(300));
    };
    await fill();
    expect(wal.firstLsn).toBeGreaterThan(1);
    const follower = wal.follow('first', { batch: 1 });
    const first = (await follower.next()).value?.[0]?.lsn as number;
    await fill();
    expect(wal.firstLsn).toBeLessThanOrEqual(first + 1);
    expect((await follower.next()).value?.[0]?.lsn).toBe(first + 1);
    await follower.return();
    await fill();
    expect(wal.firstLsn).toBeGreaterThan(first + 50);
    await wal.shutdown();
  });

  test('before the first LSN wanted is WAL_TRUNCATED', async () => {
    const { wal } = await opened(small);
    for (let lsn = 1; lsn <= 50; lsn++) await wal.commit('x'.repeat(300));
    await wal.truncateBefore(50);
    expect(await rejection(wal.follow(1).next())).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
    await wal.shutdown();
  });

  test('of returned events is WAL_TRUNCATED, and of others goes unnoticed', async () => {
    const { wal } = await opened();
    for (const each of ['a', 'b', 'c', 'd']) await wal.commit(each);
    const [ahead, behind] = [wal.follow(), wal.follow('first', { batch: 2 })];
    expect(await take(ahead, 4)).toEqual(['a', 'b', 'c', 'd']);
    await behind.next();
    await wal.truncateAfter(2);
    await wal.commit('another c');
    expect(await rejection(take(ahead, 1))).toMatchObject({ code: 'WAL_TRUNCATED', lsn: 3, reason: 'cut-back' });
    await wal.shutdown();
    await behind.return();
  });
});

describe('it ends', () => {
  test('with break, and closes its file', async () => {
    const { wal, disk } = await opened();
    await wal.commit('a');
    const idle = disk.openFiles;
    for await (const _ of wal.follow()) {
      expect(disk.openFiles).toBeGreaterThan(idle);
      break;
    }
    expect(disk.openFiles).toBe(idle);
    await wal.shutdown();
  });

  test('with return, also while it waits', async () => {
    const { wal, disk } = await opened();
    const idle = disk.openFiles;
    const follower = wal.follow();
    const next = watch(follower.next());
    await turns();
    await follower.return();
    expect(next.value).toEqual({ done: true, value: undefined });
    expect(await follower.next()).toEqual({ done: true, value: undefined });
    expect(disk.openFiles).toBe(idle);
    await wal.shutdown();
  });

  test('with its signal, also while it waits', async () => {
    const { wal, disk } = await opened();
    const idle = disk.openFiles;
    const controller = new AbortController();
    const reason = new Error('enough');
    const next = watch(wal.follow(1, { signal: controller.signal }).next());
    await turns();
    controller.abort(reason);
    await turns();
    expect(next.error).toMatchObject({ code: 'WAL_ABORTED', cause: reason });
    expect(disk.openFiles).toBe(idle);
    expect(await rejection(wal.follow(1, { signal: controller.signal }).next())).toMatchObject({ code: 'WAL_ABORTED' });
    await wal.shutdown();
  });

  test('with its signal, between two requests: the log keeps nothing for it, and its file is closed', async () => {
    const { wal, disk } = await opened();
    for (let event = 0; event < 3; event++) await wal.commit('x');
    const idle = disk.openFiles;
    const controller = new AbortController();
    const follower = wal.follow(1, { signal: controller.signal });
    expect((await follower.next()).value?.lsn).toBe(1);
    expect([disk.openFiles > idle, wal.stats().followers.length]).toEqual([true, 1]);
    controller.abort();
    await turns();
    expect([disk.openFiles, wal.stats().followers.length]).toEqual([idle, 0]);
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_ABORTED' });
    expect(await follower.next()).toEqual({ done: true, value: undefined });
    await wal.shutdown();
  });

  test('with its signal, only with the next request where it has a name, or returns views', async () => {
    const { wal, disk } = await opened();
    for (let event = 0; event < 3; event++) await wal.commit('x');
    const idle = disk.openFiles;
    const controller = new AbortController();
    const { signal } = controller;
    const views = wal.follow(1, { signal, copy: false });
    const named = wal.follow('stored', { signal, name: 'named' });
    for (const follower of [views, named]) expect((await follower.next()).value?.lsn).toBe(1);
    controller.abort();
    await turns();
    expect(await wal.followers()).toHaveLength(2);
    await named.acknowledge();
    for (const follower of [views, named])
      expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_ABORTED' });
    expect(disk.openFiles).toBe(idle);
    expect((await wal.followers()).map(({ name, lsn }) => [name, lsn])).toEqual([['named', 2]]);
    await wal.shutdown();
  });

  test.each(['close', 'shutdown'] as const)('with the log, by %s', async (end) => {
    const { wal, disk } = await opened();
    const next = watch(wal.follow().next());
    await turns();
    await wal[end]();
    await turns();
    expect(next.error).toMatchObject({ code: 'WAL_CLOSED', state: 'closed' });
    expect(disk.openFiles).toBe(0);
    expect(thrown(() => wal.follow())).toMatchObject({ code: 'WAL_CLOSED', operation: 'follow' });
  });

  test('with the failure of the log, after all durable events were returned', async () => {
    const { wal, disk } = await opened();
    await wal.commit('a');
    disk.fail('datasync', 'EIO');
    await rejection(wal.commit('b'));
    const follower = wal.follow();
    expect(await take(follower, 1)).toEqual(['a']);
    expect(await rejection(follower.next())).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    await wal.close();
  });

  test.each([
    ['commit', (wal: Wal) => wal.commit('b')],
    ['sync', (wal: Wal) => wal.sync()],
    ['checkpoint', (wal: Wal) => wal.checkpoint(wal.lastLsn)],
  ])('with the failure of a %s, also while it waits', async (_call, fail) => {
    const failures: string[] = [];
    const { wal, disk } = await opened({ onFailure: ({ code }: { code: string }) => failures.push(code) });
    await wal.commit('a');
    const toTheEnd = async (follower: WalFollower<WalEvent>): Promise<void> => {
      for await (const _event of follower);
    };
    const waiting = [{}, { durableOnly: false }].map((options) => watch(toTheEnd(wal.follow('first', options))));
    await turns();
    expect(waiting.map(({ state }) => state)).toEqual(['pending', 'pending']);
    wal.append('more');
    disk.fail('datasync', 'EIO');
    expect(await rejection(fail(wal))).toMatchObject({ code: 'WAL_IO_FAILED' });
    await turns();
    for (const { error } of waiting) expect(error).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    expect(failures).toEqual(['WAL_IO_FAILED']);
    await wal.close();
  });
});

test.each([
  ['from', () => [0, {}], 'ERR_OUT_OF_RANGE'],
  ['from', () => ['last', {}], 'ERR_INVALID_ARG_TYPE'],
  ['from', () => [{ lsn: 1 }, {}], 'ERR_INVALID_ARG_TYPE'],
  ['from.id', () => [{ lsn: 1, segment: 1, id: 'x' }, {}], 'ERR_OUT_OF_RANGE'],
  ['batch', () => [1, { batch: 0 }], 'ERR_OUT_OF_RANGE'],
  ['durableOnly', () => [1, { durableOnly: 1 }], 'ERR_INVALID_ARG_TYPE'],
  ['copy', () => [1, { copy: 'yes' }], 'ERR_INVALID_ARG_TYPE'],
  ['signal', () => [1, { signal: 'now' }], 'ERR_INVALID_ARG_TYPE'],
  ['options', () => [1, { batches: 1 }], 'ERR_INVALID_ARG_TYPE'],
])('a wrong %s is refused at once', async (name, args, code) => {
  const { wal, directory } = await opened();
  const [from, options] = args() as [1, object];
  const refused = { code, message: expect.stringContaining(`"${name}"`) };
  expect(thrown(() => wal.follow(from, options))).toMatchObject(refused);
  expect(thrown(() => Wal.follow(directory, from, options))).toMatchObject(refused);
  await wal.shutdown();
});
