import { createHook } from 'node:async_hooks';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { Wal } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf, watch } from './support/outcomes.js';
import { type Operation, StepDisk } from './support/step-disk.js';

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('every commit resolves to its own LSN', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io });
    const payloads = Array.from({ length: 1000 }, (_, index) => `event ${index + 1}`);
    const lsns: number[] = [];
    for (let at = 0; at < payloads.length; at += 100) {
      lsns.push(...(await Promise.all(payloads.slice(at, at + 100).map((payload) => wal.commit(payload)))));
    }
    expect(lsns).toEqual(payloads.map((_, index) => index + 1));
    expect(await textsOf(wal)).toEqual(payloads);
  });

  test('commits at the same time share one write and one sync', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, preallocate: 'none', ...new ManualTime().options });
    const before = { wal: wal.stats(), io: io.stats() };
    await Promise.all(Array.from({ length: 100 }, () => wal.commit('x')));
    const after = { wal: wal.stats(), io: io.stats() };
    expect(after.wal.records - before.wal.records).toBe(100);
    expect(after.wal.groups - before.wal.groups).toBe(1);
    expect(after.wal.syncs - before.wal.syncs).toBe(1);
    expect(after.io.syncs - before.io.syncs).toBe(1);
    const { durableWrites } = io.capabilities;
    expect(after.io.submitted - before.io.submitted).toBe(durableWrites ? 1 : 2);
  });

  test('committers that commit again at once need one group for each round', async () => {
    await using io = create();
    await using wal = await Wal.open(directoryFor(io), { io, ...new ManualTime().options });
    const before = wal.stats();
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        for (let round = 0; round < 20; round++) await wal.commit('x');
      }),
    );
    expect(wal.stats().groups - before.groups).toBe(20);
    expect(wal.stats().syncs - before.syncs).toBe(20);
    expect(wal.durableLsn).toBe(1000);
  });
});

describe.each<readonly [string, boolean, Operation]>([
  ['write and datasync', false, 'datasync'],
  ['durable writes', true, 'writeDurable'],
])('with %s', (_name, durableWrites, syncing) => {
  let disk: StepDisk;
  let wal: Wal;

  beforeEach(async () => {
    disk = new StepDisk(durableWrites);
    wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io, ...new ManualTime().options });
    disk.calls.length = 0;
    disk.hold(syncing);
  });

  afterEach(async () => {
    disk.releaseAll(syncing);
    await wal.shutdown();
    await disk.io.dispose();
  });

  test('no commit resolves before the sync that covers it', async () => {
    const commits = ['a', 'b', 'c'].map((payload) => watch(wal.commit(payload)));
    await disk.held(syncing);
    await turns();
    expect(commits.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending']);
    expect(wal.durableLsn).toBe(0);
    expect(wal.stats().waitingCommits).toBe(3);
    disk.release(syncing);
    await turns();
    expect(commits.map(({ value }) => value)).toEqual([1, 2, 3]);
    expect(wal.durableLsn).toBe(3);
    expect(wal.stats().waitingCommits).toBe(0);
  });

  test('a commit made while a group is under way joins the next one', async () => {
    const first = watch(wal.commit('first'));
    await disk.held(syncing);
    const next = Array.from({ length: 10 }, (_, index) => watch(wal.commit(`next ${index}`)));
    await turns();
    disk.release(syncing);
    await turns();
    expect(first.value).toBe(1);
    expect(next.map(({ state }) => state)).toEqual(next.map(() => 'pending'));
    expect(wal.durableLsn).toBe(1);
    await disk.held(syncing);
    disk.release(syncing);
    await turns();
    expect(next.map(({ value }) => value)).toEqual(next.map((_, index) => index + 2));
    const group: readonly Operation[] = durableWrites ? ['writeDurable'] : ['write', 'datasync'];
    expect(disk.calls).toEqual([...group, ...group]);
  });

  test('a committer that continues at once joins the commits that came during its group', async () => {
    const lsns: number[] = [];
    const first = (async (): Promise<void> => {
      lsns.push(await wal.commit('first'));
      lsns.push(await wal.commit('first again'));
    })();
    await disk.held(syncing);
    const meanwhile = wal.commit('meanwhile').then((lsn) => lsns.push(lsn));
    disk.release(syncing);
    await disk.held(syncing);
    disk.releaseAll(syncing);
    await Promise.all([first, meanwhile]);
    expect(lsns.sort()).toEqual([1, 2, 3]);
    expect(disk.calls.filter((call) => call === syncing)).toHaveLength(2);
  });

  test('thousands of commits share one group, and hundreds the next one', async () => {
    const group = Array.from({ length: 3000 }, () => wal.commit('group'));
    await disk.held(syncing);
    const later = Array.from({ length: 500 }, () => wal.commit('later'));
    disk.release(syncing);
    expect(await Promise.all(group)).toEqual(group.map((_, index) => index + 1));
    expect(wal.stats().waitingCommits).toBe(500);
    disk.releaseAll(syncing);
    expect(await Promise.all(later)).toEqual(later.map((_, index) => index + 3001));
  });

  test('durable waits for the sync, of a later LSN as well as of an earlier one', async () => {
    const earlier = wal.append('a');
    const later = wal.append('b');
    const waiting = [later, earlier, later].map((lsn) => watch(wal.durable(lsn)));
    await disk.held(syncing);
    await turns();
    expect(waiting.map(({ state }) => state)).toEqual(['pending', 'pending', 'pending']);
    disk.release(syncing);
    await turns();
    expect(waiting.map(({ state }) => state)).toEqual(['fulfilled', 'fulfilled', 'fulfilled']);
  });

  test('durable of an LSN in the group under way does not wait for the next group', async () => {
    const covered = wal.append('a');
    const commit = watch(wal.commit('b'));
    await disk.held(syncing);
    const later = watch(wal.commit('c'));
    const waiting = watch(wal.durable(covered));
    disk.release(syncing);
    await turns();
    expect([commit.state, waiting.state, later.state]).toEqual(['fulfilled', 'fulfilled', 'pending']);
  });

  test('an explicit sync resolves the commits that it covers', async () => {
    const commit = watch(wal.commit('a'));
    const sync = watch(wal.sync());
    await disk.held(syncing);
    disk.release(syncing);
    await turns();
    expect([commit.state, sync.state]).toEqual(['fulfilled', 'fulfilled']);
    expect(disk.calls.filter((call) => call === syncing)).toHaveLength(1);
  });

  test('sync covers what was appended before it while another sync is under way', async () => {
    wal.append('a');
    const first = watch(wal.sync());
    await disk.held(syncing);
    wal.append('b');
    const second = watch(wal.sync());
    disk.release(syncing);
    await turns();
    expect([first.state, second.state, wal.durableLsn]).toEqual(['fulfilled', 'pending', 1]);
    await disk.held(syncing);
    disk.release(syncing);
    await turns();
    expect([second.state, wal.durableLsn]).toEqual(['fulfilled', 2]);
  });

  test('appends during a group are not part of it, and are read back unchanged', async () => {
    const payloads: string[] = [];
    const add = (count: number): void => {
      for (let each = 0; each < count; each++) {
        payloads.push(`event ${payloads.length + 1}`);
        wal.append(payloads.at(-1) as string);
      }
    };
    add(5);
    for (let round = 0; round < 10; round++) {
      const sync = wal.sync();
      await disk.held(syncing);
      const covered = payloads.length;
      add(7);
      disk.release(syncing);
      await sync;
      expect(wal.durableLsn).toBe(covered);
    }
    expect(await textsOf(wal)).toEqual(payloads);
  });
});

test('a close before the end of a group resolves the commits that are durable already', async () => {
  const wal = await Wal.open('/log', { io: createMemoryStorageIo(), markAfterMs: 0 });
  const commit = watch(wal.commit('a'));
  const later = wal.sync().then(() => {
    expect(wal.durableLsn).toBe(1);
    const unknown = watch(wal.commit('b'));
    return wal.close().then(() => unknown);
  });
  expect((await later).error).toMatchObject({ code: 'WAL_CLOSED', reason: 'outcome-unknown', lsn: 2 });
  expect(commit).toEqual({ state: 'fulfilled', value: 1 });
});

test('a call that waits is resolved at its own LSN, also when a hook of promises has waited in between', async () => {
  const io = new SimulatedDisk().createStorageIo({
    completesInline: false,
    overlappedWrites: true,
    durableWrites: true,
  });
  const wal = await Wal.open('/log', { io, preallocate: 'none', ...new ManualTime().options });
  await wal.commit('one');
  let asks = false;
  const hook = createHook({
    init: (_id, type) => {
      if (type !== 'PROMISE' || !asks) return;
      asks = false;
      void wal.durable(2);
    },
  }).enable();
  wal.append('two');
  void wal.durable(2);
  await turns(1);
  wal.append('three');
  asks = true;
  const three = wal.durable(3);
  hook.disable();
  await three;
  expect(wal.durableLsn).toBe(3);
  await wal.shutdown();
});
