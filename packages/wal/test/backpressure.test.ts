import { Wal, WalError, type WalOptions } from '@walstack/wal';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { eventsOf, textsOf, watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const MAX_PENDING_BYTES = 2000;

let disk: StepDisk;
let wal: Wal;

async function open(options: WalOptions = {}): Promise<void> {
  wal = await Wal.open(`${temporaryDirectory()}/log`, {
    io: disk.io,
    maxPendingBytes: MAX_PENDING_BYTES,
    ...new ManualTime().options,
    ...options,
  });
  disk.calls.length = 0;
}

const payload = (name: string, bytes = 500): string => name.padEnd(bytes, '.');

/** Appends until the log refuses, and returns how many it took. */
function fill(): number {
  for (let count = 0; ; count++) {
    try {
      wal.append(payload(`fill ${count}`));
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return count;
      throw error;
    }
  }
}

beforeEach(async () => {
  disk = new StepDisk();
  await open();
});

afterEach(async () => {
  disk.heal();
  disk.releaseAll('write');
  disk.releaseAll('datasync');
  await wal.close();
  await disk.io.dispose();
});

test('append rejects records beyond maxPendingBytes, and nothing is appended', () => {
  expect(fill()).toBe(3);
  const { pendingBytes } = wal.stats();
  const error = thrown(() => wal.append(payload('more')));
  expect(error).toMatchObject({ code: 'WAL_BACKPRESSURE', limit: MAX_PENDING_BYTES });
  expect(error.actual).toBeGreaterThan(MAX_PENDING_BYTES);
  expect([wal.lastLsn, wal.stats().pendingBytes]).toEqual([3, pendingBytes]);
  expect(wal.append('a small one fits')).toBe(4);
});

test('a record larger than maxPendingBytes is accepted when nothing else is pending', async () => {
  expect(await wal.commit(payload('large', 5000))).toBe(1);
  wal.append('small');
  const large = watch(wal.commit(payload('large', 5000)));
  await turns();
  expect(large.value).toBe(3);
});

test('a commit waits for room and is durable in its turn', async () => {
  fill();
  disk.hold('write');
  const commit = watch(wal.commit(payload('waits')));
  await disk.held('write');
  await turns();
  expect([commit.state, wal.lastLsn, wal.stats().waitingForRoom]).toEqual(['pending', 3, 1]);
  disk.releaseAll('write');
  await turns();
  expect(commit.value).toBe(4);
  expect([wal.durableLsn, wal.stats().waitingForRoom]).toEqual([4, 0]);
});

test('calls enter in order: none overtakes, and append is rejected while a call waits', async () => {
  fill();
  disk.hold('write');
  const order: string[] = [];
  const waiting = [
    wal.commit(payload('large', 1500)).then((lsn) => order.push(`commit ${lsn}`)),
    wal.commit('small').then((lsn) => order.push(`commit ${lsn}`)),
    wal.ready().then(() => order.push('ready')),
    wal.commit(payload('last', 1500)).then((lsn) => order.push(`commit ${lsn}`)),
  ];
  expect(thrown(() => wal.append('x'))).toMatchObject({ code: 'WAL_BACKPRESSURE' });
  expect(wal.stats().waitingForRoom).toBe(4);
  await disk.held('write');
  disk.releaseAll('write');
  await Promise.all(waiting);
  expect(order.filter((each) => each !== 'ready')).toEqual(['commit 4', 'commit 5', 'commit 6']);
  expect(order.indexOf('ready')).toBeLessThan(order.indexOf('commit 6'));
  expect((await textsOf(wal, 4)).map((each) => each.replaceAll('.', ''))).toEqual(['large', 'small', 'last']);
});

test('a small commit does not overtake a large one that waits', async () => {
  fill();
  const large = watch(wal.commit(payload('large', 1500)));
  const small = watch(wal.commit('s'));
  await turns(50);
  expect([large.value, small.value]).toEqual([4, 5]);
});

test('payload and meta of a commit that waits are copied at the call', async () => {
  fill();
  const bytes = Buffer.from(payload('kept'));
  const meta = Buffer.from('meta');
  const second = new Uint8Array(Buffer.from(payload('second')));
  const options = { type: 1, meta };
  const commits = [wal.commit(bytes, options), wal.commit(second, options)];
  expect(wal.stats().waitingForRoom).toBe(2);
  bytes.fill('x');
  second.fill(0);
  meta.fill('x');
  options.type = 2;
  await Promise.all(commits);
  const events = await eventsOf(wal, 4);
  expect(events.map((event) => [text(event.payload).replaceAll('.', ''), text(event.meta), event.type])).toEqual([
    ['kept', 'meta', 1],
    ['second', 'meta', 1],
  ]);
});

test('a commit with wrong arguments does not wait for room', async () => {
  fill();
  disk.hold('write');
  const commit = watch(wal.commit(payload('waits')));
  for (const [bytes, options] of [[5], [null], ['x', null], ['x', { meta: 5 }]]) {
    const error = await rejection(wal.commit(bytes as string, options as object));
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  }
  expect([commit.state, wal.stats().waitingForRoom]).toEqual(['pending', 1]);
});

test('a commit that is rejected in its turn does not delay later ones', async () => {
  fill();
  const wrong = watch(wal.commit('x', { type: -1 }));
  const first = watch(wal.commit(payload('first')));
  const refused = watch(wal.commit('x', { type: -1 }));
  const last = watch(wal.commit(payload('last')));
  await turns(50);
  for (const { error } of [wrong, refused]) expect(error).toMatchObject({ code: 'ERR_OUT_OF_RANGE' });
  expect([first.value, last.value]).toEqual([4, 5]);
});

test('ready resolves at once while there is room', async () => {
  await wal.ready();
  expect(disk.calls).toEqual([]);
});

test('ready makes room by writing, not by a sync', async () => {
  fill();
  await wal.ready();
  expect(disk.calls).toEqual(['write']);
  expect(wal.append(payload('now'))).toBe(4);
  expect(wal.durableLsn).toBe(0);
});

test('a flush in the background makes room as soon as it is done', async () => {
  await wal.close();
  await open({ flushBytes: 1000 });
  disk.hold('write');
  fill();
  const ready = watch(wal.ready());
  await turns();
  disk.release('write');
  await disk.held('write');
  await turns();
  expect([ready.state, disk.calls]).toEqual(['fulfilled', ['write', 'write']]);
});

test('a writer that awaits ready after each rejection makes progress, whatever the size of its records', async () => {
  for (const bytes of [1, 300, 700, 1900, 4000]) {
    const first = wal.lastLsn + 1;
    for (let count = 0; count < 50; ) {
      try {
        wal.append(payload(`${count}`, bytes));
        count++;
      } catch (error) {
        if (!WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
        await wal.ready();
      }
    }
    expect((await textsOf(wal, first)).map(Number.parseFloat)).toEqual(Array.from({ length: 50 }, (_, index) => index));
  }
});

test('several writers that share a full log all make progress', async () => {
  const writer = async (name: string): Promise<void> => {
    for (let count = 0; count < 100; ) {
      try {
        wal.append(payload(`${name} ${count}`, 600));
        count++;
      } catch (error) {
        if (!WalError.is(error, 'WAL_BACKPRESSURE')) throw error;
        await wal.ready();
      }
    }
  };
  const committer = async (name: string): Promise<void> => {
    for (let count = 0; count < 100; count++) await wal.commit(payload(`${name} ${count}`, 600));
  };
  const names = ['a', 'b', 'c', 'd'];
  await Promise.all([...names.slice(0, 2).map(writer), ...names.slice(2).map(committer)]);
  const found = (await textsOf(wal)).map((each) => each.replaceAll('.', ''));
  for (const name of names) {
    const own = found.filter((each) => each.startsWith(name));
    expect(own).toEqual(Array.from({ length: 100 }, (_, index) => `${name} ${index}`));
  }
});

test('pending memory never goes beyond maxPendingBytes, however many commits there are', async () => {
  let most = 0;
  const look = (): void => {
    most = Math.max(most, wal.stats().pendingBytes);
  };
  const commits = Array.from({ length: 500 }, (_, index) =>
    wal.commit(payload(`${index}`, 1 + ((index * 37) % 900))).then(look),
  );
  look();
  await Promise.all(commits);
  expect(most).toBeGreaterThan(MAX_PENDING_BYTES / 2);
  expect(most).toBeLessThanOrEqual(MAX_PENDING_BYTES);
  expect((await textsOf(wal)).map(Number.parseFloat)).toEqual(commits.map((_, index) => index));
});

test('calls that wait for room are rejected with the failure of the log, and nothing of them is appended', async () => {
  fill();
  disk.hold('write');
  const commit = watch(wal.commit(payload('waits')));
  const ready = watch(wal.ready());
  await disk.held('write');
  disk.fail('write', 'ENOSPC');
  disk.releaseAll('write');
  await turns();
  for (const { error } of [commit, ready]) {
    expect(error).toMatchObject({ code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' });
    expect(error).not.toHaveProperty('reason', 'outcome-unknown');
  }
  expect([wal.lastLsn, wal.stats().waitingForRoom]).toEqual([3, 0]);
  expect(await rejection(wal.ready())).toMatchObject({ code: 'WAL_NO_SPACE' });
});

test('calls that wait for room are rejected when the log is closed, and nothing of them is appended', async () => {
  fill();
  const commit = watch(wal.commit(payload('waits')));
  const ready = watch(wal.ready());
  await wal.close();
  for (const { error } of [commit, ready]) {
    expect(error).toMatchObject({ code: 'WAL_CLOSED' });
    expect(error).not.toHaveProperty('reason', 'outcome-unknown');
  }
});

test('shutdown resolves the calls that wait for room', async () => {
  fill();
  const commits = Array.from({ length: 10 }, (_, index) => watch(wal.commit(payload(`waits ${index}`, 900))));
  const ready = watch(wal.ready());
  await wal.shutdown();
  expect(commits.map(({ value }) => value)).toEqual(commits.map((_, index) => index + 4));
  expect([ready.state, wal.durableLsn]).toEqual(['fulfilled', 13]);
});

test.each(BACKENDS)('commits beyond maxPendingBytes all become durable, in order, on %s', async (_name, create) => {
  await using io = create();
  const directory = directoryFor(io);
  const crowded = await Wal.open(directory, { io, maxPendingBytes: 10_000 });
  const payloads = Array.from({ length: 1000 }, (_, index) => payload(`${index}`, (index * 53) % 700));
  const lsns = await Promise.all(payloads.map((each) => crowded.commit(each)));
  expect(lsns).toEqual(payloads.map((_, index) => index + 1));
  await crowded.shutdown();
  await using again = await Wal.open(directory, { io });
  expect(await textsOf(again)).toEqual(payloads);
});
