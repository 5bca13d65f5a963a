import { Wal } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf, watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

let disk: StepDisk;
let wal: Wal;
let controller: AbortController;
let signal: AbortSignal;

const reason = new Error('changed my mind');
const aborted = { code: 'WAL_ABORTED', cause: reason };
const large = 'x'.repeat(200);

beforeEach(async () => {
  disk = new StepDisk();
  controller = new AbortController();
  signal = controller.signal;
  const options = { io: disk.io, markAfterMs: 0, maxPendingBytes: 300, ...new ManualTime().options };
  wal = await Wal.open(`${temporaryDirectory()}/log`, options);
});

afterEach(async () => {
  disk.releaseAll('write');
  disk.releaseAll('datasync');
  await wal.close();
  await disk.io.dispose();
});

describe('commit', () => {
  test('is unchanged by a signal that is not aborted', async () => {
    expect(await wal.commit('a', { signal, type: 3 })).toBe(1);
    expect([...(await textsOf(wal))]).toEqual(['a']);
    controller.abort(reason);
    await turns();
    expect(await wal.commit('b', { signal: undefined as never })).toBe(2);
  });

  test('with an aborted signal appends nothing', async () => {
    controller.abort(reason);
    expect(await rejection(wal.commit('a', { signal }))).toMatchObject(aborted);
    expect(await rejection(wal.commitBatch(wal.batch().add('a'), { signal }))).toMatchObject(aborted);
    expect(wal.lastLsn).toBe(0);
  });

  test.each([[{ aborted: false }], [{ aborted: true }], [{ aborted: false, addEventListener: () => {} }]])(
    'with %j in the place of a signal appends nothing, now or later',
    async (odd) => {
      const refuse = async (): Promise<void> => {
        const options = { signal: odd as never };
        expect(await rejection(wal.commit('odd', options))).toBeInstanceOf(TypeError);
        expect(await rejection(wal.commitBatch(wal.batch().add('odd'), options))).toBeInstanceOf(TypeError);
        expect(await rejection(wal.durable(0, options))).toBeInstanceOf(TypeError);
        expect(await rejection(wal.ready(options))).toBeInstanceOf(TypeError);
      };
      await refuse();
      expect(wal.lastLsn).toBe(0);
      const commits = [wal.commit(large), wal.commit(large), wal.commit('last')];
      expect(wal.stats().waitingForRoom).toBe(2);
      await refuse();
      await Promise.all(commits);
      expect(await textsOf(wal)).toEqual([large, large, 'last']);
    },
  );

  test('does not wait for room when its signal is aborted while its payload is encoded', async () => {
    const encoding = {
      name: 'aborting',
      encode: (text: string) => {
        if (text === 'second') controller.abort(reason);
        return large;
      },
      decode: () => '',
    };
    const other = await Wal.open(`${temporaryDirectory()}/log`, {
      io: disk.io,
      maxPendingBytes: 300,
      markAfterMs: 0,
      encoding,
    });
    disk.hold('write');
    const first = watch(other.commit('first'));
    await disk.held('write');
    const second = await rejection(other.commit('second', { signal }));
    expect(second).toMatchObject(aborted);
    expect(second.lsn).toBeUndefined();
    disk.releaseAll('write');
    await other.shutdown();
    expect([first.value, other.lastLsn]).toEqual([1, 1]);
  });

  test('leaves the queue for room when it is aborted before it has an LSN', async () => {
    disk.hold('write');
    const first = watch(wal.commit(large));
    await disk.held('write');
    const second = watch(wal.commit(large, { signal }));
    const third = watch(wal.commit(large));
    expect(wal.stats().waitingForRoom).toBe(2);
    controller.abort(reason);
    await turns();
    expect(second.error).toMatchObject(aborted);
    expect((second.error as Error).message).toContain('nothing was appended');
    expect(wal.stats().waitingForRoom).toBe(1);
    disk.releaseAll('write');
    await turns();
    expect([first.value, third.value]).toEqual([1, 2]);
    expect((await textsOf(wal)).map((text) => text.length)).toEqual([200, 200]);
  });

  test('admits later calls that need less room', async () => {
    disk.hold('write');
    wal.append('x'.repeat(100));
    const first = watch(wal.commit(large, { signal }));
    const second = watch(wal.commit('small'));
    expect(wal.stats().waitingForRoom).toBe(2);
    controller.abort(reason);
    await turns();
    expect(first.error).toMatchObject(aborted);
    expect([wal.stats().waitingForRoom, wal.lastLsn]).toEqual([0, 2]);
    disk.releaseAll('write');
    await turns();
    expect(second.value).toBe(2);
  });

  test('only stops waiting when it is aborted after that: the event is in the log', async () => {
    disk.hold('datasync');
    const first = watch(wal.commit('a', { signal }));
    const batch = watch(wal.commitBatch(wal.batch().add('b').add('c'), { signal }));
    const durable = watch(wal.durable(1, { signal }));
    await disk.held('datasync');
    controller.abort(reason);
    await turns();
    expect(first.error).toMatchObject({ ...aborted, lsn: 1, reason: 'outcome-unknown' });
    expect(batch.error).toMatchObject({ ...aborted, lsn: 3, reason: 'outcome-unknown' });
    expect(durable.error).toMatchObject({ ...aborted, lsn: 1 });
    disk.releaseAll('datasync');
    await turns();
    expect(wal.durableLsn).toBe(3);
    expect(await textsOf(wal)).toEqual(['a', 'b', 'c']);
  });

  test('a batch whose commit was aborted while it waited for room can be committed again', async () => {
    disk.hold('write');
    wal.append(large);
    const batch = wal.batch().add(large);
    const commit = watch(wal.commitBatch(batch, { signal }));
    expect(batch.isSpent).toBe(true);
    controller.abort(reason);
    await turns();
    expect(commit.error).toMatchObject(aborted);
    expect(batch.isSpent).toBe(false);
    disk.releaseAll('write');
    await wal.sync();
    expect(await wal.commitBatch(batch)).toBe(2);
    expect(batch.isSpent).toBe(true);
  });

  test('removes its listener from the signal', async () => {
    const counted = new CountedSignal();
    await wal.commit('a', { signal: counted.signal });
    disk.hold('write');
    wal.append(large);
    const waiting = [wal.commit(large, { signal: counted.signal }), wal.ready({ signal: counted.signal })];
    expect(counted.listeners).toBe(1);
    disk.releaseAll('write');
    await Promise.all(waiting);
    await turns();
    expect(counted.listeners).toBe(0);
  });
});

test('an aborted ready leaves the queue', async () => {
  disk.hold('write');
  wal.append(large);
  expect(thrown(() => wal.append(large))).toMatchObject({ code: 'WAL_BACKPRESSURE' });
  const ready = watch(wal.ready({ signal }));
  await turns();
  expect(wal.stats().waitingForRoom).toBe(1);
  controller.abort(reason);
  await turns();
  expect(ready.error).toMatchObject(aborted);
  expect(wal.stats().waitingForRoom).toBe(0);
});

describe('reading', () => {
  beforeEach(async () => {
    for (let lsn = 1; lsn <= 10; lsn++) await wal.commit(`event ${lsn}`);
  });

  test('replay ends before the next event, and closes its file', async () => {
    const idle = disk.openFiles;
    const found: number[] = [];
    const replay = wal.replay(
      'first',
      ({ lsn }) => {
        found.push(lsn);
        if (lsn === 4) controller.abort(reason);
      },
      { signal },
    );
    expect(await rejection(replay)).toMatchObject(aborted);
    expect([found, disk.openFiles]).toEqual([[1, 2, 3, 4], idle]);
    expect(await rejection(wal.replay('first', () => {}, { signal }))).toMatchObject(aborted);
  });

  test('for await ends before the next event, and closes its file', async () => {
    const idle = disk.openFiles;
    const found: number[] = [];
    const loop = async (): Promise<void> => {
      for await (const { lsn } of wal.iterator(3, { signal })) {
        found.push(lsn);
        if (lsn === 4) controller.abort(reason);
      }
    };
    expect(await rejection(loop())).toMatchObject(aborted);
    expect([found, disk.openFiles]).toEqual([[3, 4], idle]);
  });

  test('ends at the end of the log when its signal is not aborted', async () => {
    expect(await wal.replay(2, () => {}, { signal })).toBe(9);
  });
});

test('for … of ends before the next event', async () => {
  await wal.close();
  await using memory = await Wal.open('/log', { io: 'memory' });
  for (let lsn = 1; lsn <= 10; lsn++) memory.append('x');
  const found: number[] = [];
  const loop = (): void => {
    for (const { lsn } of memory.iterator('first', { signal })) {
      found.push(lsn);
      if (lsn === 4) controller.abort(reason);
    }
  };
  expect(thrown(loop)).toMatchObject(aborted);
  expect(found).toEqual([1, 2, 3, 4]);
});

test.each<[string, () => unknown]>([
  ['commit', () => wal.commit('a', { signal: 5 as never })],
  ['commitBatch', () => wal.commitBatch(wal.batch().add('a'), { signal: {} as never })],
  ['durable', () => wal.durable(0, { signal: null as never })],
  ['ready', () => wal.ready({ signal: 'now' as never })],
  ['replay', () => wal.replay('first', () => {}, { signal: 5 as never })],
])('%s refuses what is no signal', async (_name, call) => {
  const error = await rejection(Promise.resolve().then(call));
  expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE', message: expect.stringContaining('"signal"') });
  expect(wal.lastLsn).toBe(0);
});

/** A signal that counts its listeners. */
class CountedSignal {
  listeners = 0;
  readonly signal = new AbortController().signal;

  constructor() {
    const { signal } = this;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    const known = new Set<unknown>();
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      known.add(args[1]);
      this.listeners = known.size;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      known.delete(args[1]);
      this.listeners = known.size;
      remove(...args);
    };
  }
}

test('a follower takes a signal that is not of this realm', async () => {
  // As such a signal is seen here: with the properties of a signal, and of another class.
  const foreign = {
    get aborted(): boolean {
      return signal.aborted;
    },
    get reason(): unknown {
      return signal.reason;
    },
    addEventListener: signal.addEventListener.bind(signal),
    removeEventListener: signal.removeEventListener.bind(signal),
  } as unknown as AbortSignal;
  await wal.commit('first');
  const options = { signal: foreign, durableOnly: false };
  const followers = [wal.follow('first', options), Wal.follow(wal.path, 'first', options)];
  for (const follower of followers) expect((await follower.next()).value).toMatchObject({ lsn: 1 });
  const waiting = followers.map((follower) => rejection(follower.next()));
  await turns();
  controller.abort(reason);
  for (const error of await Promise.all(waiting)) expect(error).toMatchObject(aborted);
});
