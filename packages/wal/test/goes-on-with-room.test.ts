import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { BACKENDS_WITHOUT_ROOM, withoutRoom } from './support/full-disk.js';
import { textsOf, watch } from './support/outcomes.js';

/** A log whose disk is full goes on when there is room. */

const NO_SPACE = { code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' };

describe.each(BACKENDS_WITHOUT_ROOM)('on %s', (_name, kind) => {
  async function onFullDisk() {
    const disk = new SimulatedDisk();
    const time = new ManualTime();
    const options = withoutRoom(time);
    const wal = await Wal.open('/log', { io: disk.createStorageIo(kind), ...options });
    await wal.commit('one');
    await turns(50);
    disk.capacityBytes = disk.usedBytes;
    return { disk, time, wal, options };
  }

  const empty = (disk: SimulatedDisk): void => {
    disk.capacityBytes = Number.POSITIVE_INFINITY;
  };

  const text = (name: string): string => `${name} `.padEnd(2000, '.');

  test('commits are rejected as unknown, and are durable when there is room', async () => {
    const { disk, wal, options } = await onFullDisk();
    const commits = ['two', 'three'].map((name) => watch(wal.commit(text(name))));
    await turns(100);
    for (const [index, { error }] of commits.entries()) {
      expect(error).toMatchObject({ ...NO_SPACE, reason: 'outcome-unknown', lsn: index + 2 });
    }
    expect([wal.state, wal.failure, wal.durableLsn, wal.stats().waitsForSpace]).toEqual([
      'running',
      undefined,
      1,
      true,
    ]);
    expect(thrown(() => wal.append('x'))).toMatchObject(NO_SPACE);
    expect(await rejection(wal.commit('x'))).toMatchObject(NO_SPACE);
    expect(await rejection(wal.ready())).toMatchObject(NO_SPACE);
    expect(await textsOf(wal)).toEqual(['one']);

    empty(disk);
    await wal.durable(3);
    expect(wal.durableLsn).toBe(3);
    expect(await wal.commit('four')).toBe(4);
    expect([wal.state, wal.stats().waitsForSpace]).toEqual(['running', false]);
    await wal.shutdown();
    const again = await Wal.open('/log', { io: disk.crash().createStorageIo(kind), ...options });
    expect(await textsOf(again)).toEqual(['one', text('two'), text('three'), 'four']);
    await again.close();
  });

  test('durable() waits until there is room, with no other call', async () => {
    const { disk, time, wal } = await onFullDisk();
    const commits = ['two', 'three'].map((name) => watch(wal.commit(text(name))));
    await turns(100);
    expect(commits.map(({ state }) => state)).toEqual(['rejected', 'rejected']);
    const durable = [watch(wal.durable(3)), watch(wal.durable(2))];
    for (let second = 0; second < 3; second++) {
      await turns(100);
      expect(durable.map(({ state }) => state)).toEqual(['pending', 'pending']);
      expect(time.fire(1000)).toBe(1);
    }
    await turns(100);
    expect(wal.stats().waitsForSpace).toBe(true);
    empty(disk);
    expect(time.fire(1000)).toBe(1);
    await turns(100);
    expect(durable.map(({ state }) => state)).toEqual(['fulfilled', 'fulfilled']);
    expect([wal.durableLsn, time.waiting]).toEqual([3, []]);
    await wal.close();
  });

  test('what a commit has appended becomes durable when there is room, with no other call', async () => {
    const { disk, time, wal } = await onFullDisk();
    expect(await rejection(wal.commit(text('two')))).toMatchObject(NO_SPACE);
    time.fire();
    await turns(100);
    expect([wal.durableLsn, wal.stats().waitsForSpace]).toEqual([1, true]);
    empty(disk);
    time.fire();
    await turns(100);
    expect([wal.durableLsn, wal.stats().waitsForSpace, time.waiting]).toEqual([2, false, []]);
    await wal.close();
  });

  test.each(['sync', 'flush'] as const)('what a %s has made durable is not waited for any longer', async (call) => {
    const { disk, wal } = await onFullDisk();
    expect(await rejection(wal.commit(text('two')))).toMatchObject(NO_SPACE);
    const durable = watch(wal.durable(2));
    await turns(100);
    empty(disk);
    await wal[call]();
    await turns(100);
    // What a ring writes is durable.
    const isDurable = call === 'sync' || kind.durableWrites === true;
    expect([wal.durableLsn, durable.state]).toEqual(isDurable ? [2, 'fulfilled'] : [1, 'pending']);
    await wal.close();
  });

  test('what finds no room while the log is being closed is not tried again behind that', async () => {
    for (const end of ['shutdown', 'close'] as const) {
      for (const append of ['commit', 'append'] as const) {
        const { disk, time, wal } = await onFullDisk();
        const payload = new Uint8Array(20_000);
        if (append === 'commit') watch(wal.commit(payload));
        else wal.append(payload);
        time.fire();
        await turns(1);
        const ended = watch(wal[end]());
        await turns(3);
        empty(disk);
        await turns(300);
        expect(ended.state).not.toBe('pending');
        expect([end, append, time.waiting]).toEqual([end, append, []]);
      }
    }
  });

  test('waiting for room can be aborted, and ends when the log is closed', async () => {
    const { wal, time } = await onFullDisk();
    await rejection(wal.commit(text('two')));
    const abort = new AbortController();
    const aborted = watch(wal.durable(2, { signal: abort.signal }));
    const durable = watch(wal.durable(2));
    await turns(100);
    abort.abort();
    await turns();
    expect(aborted.error).toMatchObject({ code: 'WAL_ABORTED', reason: 'outcome-unknown' });
    expect(durable.state).toBe('pending');
    await wal.close();
    await turns();
    expect(durable.error).toMatchObject({ code: 'WAL_CLOSED', reason: 'outcome-unknown' });
    expect(time.waiting).toEqual([]);
  });

  test('waiting for room ends with a shutdown, which has room for the event in the reserve, or has none', async () => {
    for (const bytes of [2000, 20_000]) {
      const { wal } = await onFullDisk();
      await rejection(wal.commit(new Uint8Array(bytes)));
      const durable = watch(wal.durable(2));
      await turns(100);
      const shutdown = watch(wal.shutdown());
      await turns(200);
      const state = bytes === 2000 ? 'fulfilled' : 'rejected';
      expect([durable.state, shutdown.state]).toEqual([state, state]);
    }
  });

  test('appended events are written in the background when there is room', async () => {
    const { disk, time, wal } = await onFullDisk();
    wal.append(text('two'));
    time.fire();
    await turns(100);
    expect([wal.stats().waitsForSpace, wal.failure]).toEqual([true, undefined]);
    time.fire();
    await turns(100);
    expect(wal.stats().waitsForSpace).toBe(true);
    empty(disk);
    time.fire();
    await turns(100);
    expect(wal.stats()).toMatchObject({ waitsForSpace: false, pendingBytes: 0 });
    wal.append('three');
    await wal.shutdown();
    expect(wal.durableLsn).toBe(3);
  });

  test('a follower gets what was written when there was room', async () => {
    const { disk, wal } = await onFullDisk();
    const follower = wal.follow('first');
    expect((await follower.next()).value).toMatchObject({ lsn: 1 });
    const next = watch(follower.next());
    await rejection(wal.commit(text('two')));
    await turns(50);
    expect(next.state).toBe('pending');
    empty(disk);
    await wal.sync();
    await turns(100);
    expect(next.value?.value).toMatchObject({ lsn: 2 });
    await wal.close();
  });

  test('a shutdown takes the reserve, and resolves when everything is durable', async () => {
    const { disk, wal, options } = await onFullDisk();
    await rejection(wal.commit(text('two')));
    await wal.shutdown();
    expect([wal.state, wal.durableLsn]).toEqual(['closed', 2]);
    const again = await Wal.open('/log', { io: disk.crash().createStorageIo(kind), ...options });
    expect([again.recovery.cleanlyClosed, again.lastLsn]).toEqual([true, 2]);
    await again.close();
  });

  test('a shutdown without enough room rejects, and the log is closed', async () => {
    const { disk, wal, options } = await onFullDisk();
    wal.append(new Uint8Array(20_000));
    expect(await rejection(wal.shutdown())).toMatchObject(NO_SPACE);
    expect([wal.state, wal.durableLsn]).toEqual(['closed', 1]);
    empty(disk);
    const again = await Wal.open('/log', { io: disk.crash().createStorageIo(kind), ...options });
    expect([again.lastLsn, await textsOf(again)]).toEqual([1, ['one']]);
    await again.close();
  });

  test('a failure shows in the state until the log is closed', async () => {
    const { disk, wal } = await onFullDisk();
    await rejection(wal.commit(text('two')));
    disk.failWhen(({ kind: operation }) => (/write/.test(operation) ? 'EIO' : undefined));
    expect(await rejection(wal.durable(2))).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'outcome-unknown' });
    disk.failWhen(undefined);
    expect([wal.state, wal.stats().state, wal.failure?.code]).toEqual(['failed', 'failed', 'WAL_IO_FAILED']);
    await wal.close();
    expect(wal.state).toBe('closed');
  });
});
