import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal, type WalState } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf, watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

let disk: StepDisk;
let time: ManualTime;
let directory: string;
let wal: Wal;

const open = (): Promise<Wal> => Wal.open(directory, { io: disk.io, markAfterMs: 0, ...time.options });

beforeEach(async () => {
  disk = new StepDisk();
  time = new ManualTime();
  directory = `${temporaryDirectory()}/log`;
  wal = await open();
});

afterEach(async () => {
  disk.heal();
  disk.releaseAll('write');
  disk.releaseAll('datasync');
  await wal.close({ discard: true }).catch(() => {});
  expect(disk.openFiles).toBe(0);
  await disk.io.dispose();
});

/** Begins a shutdown that cannot end before `disk.releaseAll('datasync')`, with one event durable and one not. */
async function draining(options?: { timeoutMs: number }): Promise<ReturnType<typeof watch<void>>> {
  await wal.commit('durable');
  wal.append('pending');
  disk.hold('datasync');
  const shutdown = watch(wal.shutdown(options));
  await disk.held('datasync');
  expect(wal.state).toBe('draining');
  return shutdown;
}

describe('which calls are allowed', () => {
  const calls: Record<string, () => unknown> = {
    append: () => wal.append('x'),
    commit: () => wal.commit('x'),
    appendBatch: () => wal.appendBatch(wal.batch().add('x')),
    commitBatch: () => wal.commitBatch(wal.batch().add('x')),
    ready: () => wal.ready(),
    truncateBefore: () => wal.truncateBefore(1),
    truncateAfter: () => wal.truncateAfter(1),
    resetTo: () => wal.resetTo(10),
    checkpoint: () => wal.checkpoint(1),
    hold: () => wal.hold('reader', 1),
    releaseHold: () => wal.releaseHold('reader'),
    durable: () => wal.durable(2),
    flush: () => wal.flush(),
    sync: () => wal.sync(),
    replay: () => wal.replay('first', () => {}),
    iterator: () => wal.iterator(),
    follow: () => wal.follow(),
  };
  const whileOpen = ['durable', 'flush', 'sync', 'replay', 'iterator', 'follow'];
  const names = Object.keys(calls);
  const refusal = (name: string): Promise<Error> => rejection(Promise.resolve().then(calls[name]));

  test.each(names)('%s while it runs', async (name) => {
    await wal.commit('durable');
    wal.append('pending');
    expect(wal.state).toBe('running');
    await calls[name]?.();
  });

  test.each(names)('%s while it drains', async (name) => {
    await draining();
    if (whileOpen.includes(name)) {
      const result = watch(Promise.resolve().then(calls[name]));
      disk.releaseAll('datasync');
      await turns();
      // A replay is accepted, and ends like every other when the log closes.
      expect(result.state).toBe(name === 'replay' ? 'rejected' : 'fulfilled');
      if (name === 'replay') expect(result.error).toMatchObject({ code: 'WAL_CLOSED' });
      return;
    }
    const error = await refusal(name);
    expect(error).toMatchObject({ code: 'WAL_STATE', state: 'draining', operation: name });
    expect(error.message).toMatch(new RegExp(`${name}.*draining`));
    expect(wal.lastLsn).toBe(2);
  });

  test.each(names)('%s after it was closed', async (name) => {
    await wal.commit('durable');
    wal.append('dropped');
    await wal.close();
    const error = await refusal(name);
    expect(error).toMatchObject({ code: 'WAL_CLOSED', state: 'closed', operation: name });
    expect(error.message).toMatch(new RegExp(`${name}.*closed`));
  });

  test.each<WalState>(['running', 'draining', 'closed'])('properties and stats() while it is %s', async (state) => {
    if (state === 'draining') await draining();
    else await wal.commit('durable');
    if (state === 'closed') await wal.shutdown();
    expect(wal.state).toBe(state);
    expect(wal.stats()).toMatchObject({ state, durableLsn: 1 });
    expect([wal.path, wal.firstLsn, wal.durableLsn, wal.failure]).toEqual([directory, 1, 1, undefined]);
    expect(wal.recovery.created).toBe(true);
    await wal.durable(1);
  });
});

describe('shutdown', () => {
  test('makes everything durable, resolves the commits, and closes', async () => {
    wal.append('a');
    const commit = watch(wal.commit('b'));
    wal.append('c');
    await wal.shutdown();
    expect([commit.value, wal.durableLsn, wal.state, disk.openFiles]).toEqual([2, 3, 'closed', 0]);
    const again = await open();
    expect(again.recovery.cleanlyClosed).toBe(true);
    expect(await textsOf(again)).toEqual(['a', 'b', 'c']);
    await again.shutdown();
  });

  test('does not resolve before everything is durable and the log is closed', async () => {
    const shutdown = await draining();
    await turns();
    expect(shutdown.state).toBe('pending');
    disk.releaseAll('datasync');
    await turns();
    expect([shutdown.state, wal.state, wal.durableLsn]).toEqual(['fulfilled', 'closed', 2]);
  });

  test('is idempotent: once, twice at once, and afterwards', async () => {
    wal.append('a');
    await Promise.all([wal.shutdown(), wal.shutdown(), wal.shutdown({ timeoutMs: 5 })]);
    await wal.shutdown();
    await wal.shutdown({ timeoutMs: 0 });
    await wal.close();
    expect([wal.state, wal.durableLsn]).toEqual(['closed', 1]);
    expect(time.waiting).toEqual([]);
  });

  test('WAL_TIMEOUT leaves it draining; calling again waits for the rest', async () => {
    const first = await draining({ timeoutMs: 100 });
    expect(time.fire(100)).toBe(1);
    await turns();
    expect(first.error).toMatchObject({ code: 'WAL_TIMEOUT', state: 'draining', limit: 100 });
    expect(wal.state).toBe('draining');
    expect(thrown(() => wal.append('x'))).toMatchObject({ code: 'WAL_STATE' });
    const second = watch(wal.shutdown({ timeoutMs: 200 }));
    expect(time.waiting).toEqual([200]);
    disk.releaseAll('datasync');
    await turns();
    expect([second.state, wal.state, wal.durableLsn]).toEqual(['fulfilled', 'closed', 2]);
    expect(time.waiting).toEqual([]);
  });

  test('finishes draining by itself after a timeout', async () => {
    const shutdown = await draining({ timeoutMs: 100 });
    time.fire(100);
    await turns();
    expect(shutdown.state).toBe('rejected');
    disk.releaseAll('datasync');
    await turns();
    expect([wal.state, wal.durableLsn]).toEqual(['closed', 2]);
    await wal.shutdown();
  });

  test('WAL_TIMEOUT, then close', async () => {
    const shutdown = await draining({ timeoutMs: 100 });
    time.fire(100);
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    const closed = watch(wal.close());
    expect(wal.state).toBe('closed');
    disk.releaseAll('datasync');
    await turns();
    expect(closed.state).toBe('fulfilled');
    await (await open()).shutdown();
  });

  test.each([
    ['timeoutMs below 0', { timeoutMs: -1 }, 'ERR_OUT_OF_RANGE'],
    ['timeoutMs that is NaN', { timeoutMs: Number.NaN }, 'ERR_OUT_OF_RANGE'],
    ['timeoutMs as text', { timeoutMs: '5' }, 'ERR_INVALID_ARG_TYPE'],
    ['an unknown option', { timeout: 5 }, 'ERR_INVALID_ARG_TYPE'],
    ['null', null, 'ERR_INVALID_ARG_TYPE'],
    ['a number', 5, 'ERR_INVALID_ARG_TYPE'],
  ])('refuses %s, and the log runs on', async (_what, options, code) => {
    expect(await rejection(wal.shutdown(options as object))).toMatchObject({ code });
    expect(wal.state).toBe('running');
    await wal.commit('a');
  });
});

describe('close', () => {
  test('drops what was not written to the operating system', async () => {
    await wal.commit('durable');
    wal.append('flushed');
    await wal.flush();
    wal.append('dropped');
    await wal.close();
    expect([wal.state, wal.stats().pendingBytes]).toEqual(['closed', 0]);
    const again = await open();
    expect(again.recovery.cleanlyClosed).toBe(true);
    expect(await textsOf(again)).toEqual(['durable', 'flushed']);
    expect(await again.commit('next')).toBe(3);
    await again.shutdown();
  });

  test('rejects the commits that wait with WAL_CLOSED and outcome-unknown', async () => {
    disk.hold('datasync');
    const first = watch(wal.commit('under way'));
    await disk.held('datasync');
    const second = watch(wal.commit('not begun'));
    const durable = watch(wal.durable(2));
    const closed = watch(wal.close());
    await turns();
    [first, second, durable].forEach(({ error }, index) => {
      expect(error).toMatchObject({ code: 'WAL_CLOSED', reason: 'outcome-unknown', lsn: [1, 2, 2][index] });
      expect((error as Error).message).toContain('unknown');
    });
    expect(closed.state).toBe('pending');
    disk.releaseAll('datasync');
    await turns();
    expect(closed.state).toBe('fulfilled');
    const again = await open();
    expect(await textsOf(again)).toEqual(['under way']);
    await again.shutdown();
  });

  test('rejects a commit that was admitted in the same turn', async () => {
    const small = await Wal.open(`${temporaryDirectory()}/log`, {
      io: disk.io,
      maxPendingBytes: 100,
      ...time.options,
    });
    const closing: Promise<void>[] = [];
    const first = small.commit('x'.repeat(200)).then(() => closing.push(small.close()));
    const second = watch(small.commit('y'.repeat(200)));
    await first;
    await Promise.all(closing);
    await turns();
    expect(second.error).toMatchObject({ code: 'WAL_CLOSED' });
    expect(small.stats().waitingCommits).toBe(0);
  });

  test('settles a flush, a sync and a replay that are under way', async () => {
    await wal.commit('durable');
    wal.append('pending');
    disk.hold('write');
    const under = [wal.flush(), wal.sync(), wal.replay('first', () => {})].map((each) => watch<unknown>(each));
    await disk.held('write');
    const closed = watch(wal.close());
    disk.releaseAll('write');
    await turns(50);
    expect(closed.state).toBe('fulfilled');
    expect(under.map(({ state }) => state)).not.toContain('pending');
    expect(disk.openFiles).toBe(0);
  });

  test('is idempotent: twice at once and afterwards, with shutdown in any order', async () => {
    wal.append('a');
    const first = wal.close();
    expect(wal.close()).toBe(first);
    await Promise.all([first, wal.shutdown(), wal.close()]);
    await wal.shutdown();
    await wal.close();
    expect(wal.state).toBe('closed');
  });

  test('during a shutdown ends it early, and the shutdown rejects when something was not made durable', async () => {
    disk.hold('write');
    wal.append('a');
    const shutdown = watch(wal.shutdown());
    await disk.held('write');
    const closed = watch(wal.close());
    expect(wal.state).toBe('closed');
    disk.fail('write', 'EIO');
    disk.releaseAll('write');
    await turns();
    expect(closed.error).toBe(wal.failure);
    expect(shutdown.error).toMatchObject({ code: 'WAL_CLOSED', path: directory });
    expect(wal.durableLsn).toBe(0);
  });

  test('during a shutdown that has made everything durable, the shutdown succeeds', async () => {
    const shutdown = await draining();
    const closed = watch(wal.close());
    disk.releaseAll('datasync');
    await turns();
    expect([shutdown.state, closed.state, wal.durableLsn]).toEqual(['fulfilled', 'fulfilled', 2]);
  });

  test('right behind a shutdown drops what is not written, and the shutdown rejects', async () => {
    wal.append('dropped');
    const shutdown = watch(wal.shutdown());
    await wal.close();
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_CLOSED', path: directory });
    const again = await open();
    expect(again.lastLsn).toBe(0);
    await again.close();
  });

  test('right behind a shutdown and a cut that is rejected drops what is not written, and the shutdown rejects', async () => {
    wal.append('dropped');
    const cut = watch(wal.truncateAfter(2));
    const shutdown = watch(wal.shutdown());
    await wal.close();
    await turns();
    expect(cut.state).toBe('rejected');
    expect(shutdown.error).toMatchObject({ code: 'WAL_CLOSED', path: directory });
  });

  test('while what has waited for room is appended drops that, and the shutdown rejects', async () => {
    const own = await Wal.open(`${directory}-own`, { io: disk.io, maxPendingBytes: 1024, ...time.options });
    const first = own.commit(new Uint8Array(700));
    const second = watch(own.commit(new Uint8Array(700)));
    const shutdown = watch(own.shutdown());
    await first;
    expect([own.lastLsn, own.stats().waitingForRoom]).toEqual([2, 0]);
    await own.close({ discard: true });
    await turns();
    expect(second.error).toMatchObject({ code: 'WAL_CLOSED', reason: 'outcome-unknown', lsn: 2 });
    expect(shutdown.error).toMatchObject({ code: 'WAL_CLOSED' });
  });

  test('right behind a shutdown of a read-only log changes nothing: that has nothing to make durable', async () => {
    wal.append('not proved durable');
    await wal.flush();
    const reader = await Wal.open(directory, { io: disk.io, recoveryMode: 'readonly', ...time.options });
    expect([reader.lastLsn, reader.durableLsn]).toEqual([1, 0]);
    const shutdown = reader.shutdown();
    await reader.close();
    await shutdown;
  });

  test('that is under way is waited for by a shutdown, for as long as that may', async () => {
    disk.hold('datasync');
    const commit = watch(wal.commit('under way'));
    await disk.held('datasync');
    const closed = watch(wal.close());
    const shutdown = watch(wal.shutdown({ timeoutMs: 100 }));
    const patient = watch(wal.shutdown());
    expect(time.fire(100)).toBe(1);
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT', limit: 100 });
    expect([closed.state, patient.state]).toEqual(['pending', 'pending']);
    disk.releaseAll('datasync');
    await turns();
    expect([closed.state, patient.state, commit.state]).toEqual(['fulfilled', 'fulfilled', 'rejected']);
  });

  test('during a shutdown during a cut: what is cut off counts as durable', async () => {
    await wal.commit('kept');
    await wal.commit('cut off');
    disk.hold('syncDirectory');
    const cut = watch(wal.truncateAfter(1));
    await disk.held('syncDirectory');
    const shutdown = watch(wal.shutdown());
    const closed = watch(wal.close());
    disk.releaseAll('syncDirectory');
    await turns(50);
    expect([cut.state, shutdown.state, closed.state]).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });

  test('rejects each of its calls with the first error of closing', async () => {
    wal.append('flushed');
    await wal.flush();
    disk.fail('datasync', 'EIO');
    const error = await rejection(wal.close());
    expect(error).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
    expect(await rejection(wal.close())).toBe(error);
    expect(await rejection(wal.shutdown())).toBe(error);
    expect(wal.state).toBe('closed');
    disk.heal();
    const again = await open();
    expect(again.recovery.cleanlyClosed).toBe(false);
    await again.shutdown();
  });
});

test('await using is a shutdown: everything is durable after it', async () => {
  await wal.close();
  {
    await using scoped = await open();
    scoped.append('a');
  }
  const again = await open();
  expect(again.recovery.cleanlyClosed).toBe(true);
  expect(await textsOf(again)).toEqual(['a']);
  await again.shutdown();
});

test.each(BACKENDS)('commits under way when shutdown is called are resolved, on %s', async (_name, create) => {
  await using io = create();
  const path = directoryFor(io);
  const busy = await Wal.open(path, { io });
  const commits = Array.from({ length: 100 }, (_, index) => busy.commit(`${index}`));
  await Promise.all([busy.shutdown(), busy.shutdown()]);
  expect(await Promise.all(commits)).toEqual(commits.map((_, index) => index + 1));
  await using again = await Wal.open(path, { io });
  expect(again.recovery).toMatchObject({ cleanlyClosed: true, records: 100 });
});

test.each(BACKENDS)('close and shutdown release the lock, on %s', async (_name, create) => {
  await using io = create();
  const path = directoryFor(io);
  for (const end of ['close', 'shutdown'] as const) {
    const holder = await Wal.open(path, { io });
    await holder[end]();
  }
  await (await Wal.open(path, { io })).shutdown();
});

test('a log whose backend is disposed while it is open fails, and can still be closed', async () => {
  const io = createMemoryStorageIo();
  const orphan = await Wal.open('/log', { io });
  await orphan.commit('a');
  await io.dispose();
  expect(await rejection(orphan.commit('b'))).toMatchObject({ code: 'WAL_CLOSED', reason: 'outcome-unknown', lsn: 2 });
  expect(await rejection(orphan.shutdown())).toMatchObject({ code: 'WAL_CLOSED' });
  expect(orphan.state).toBe('closed');
});
