import type { WalError } from '@walstack/codec';
import { Batch, Wal } from '@walstack/wal';
import { describe, expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { BATCHER, Child } from './support/children.js';
import { textsOf, watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

describe.each(BACKENDS)('on %s', (_name, create) => {
  test('appendBatch and commitBatch return the LSN of the last event, and all events are read back', async () => {
    await using io = create();
    const directory = directoryFor(io);
    const wal = await Wal.open(directory, { io });
    expect(wal.appendBatch(new Batch().add('a').add('b', { type: 4 }))).toBe(2);
    expect([wal.lastLsn, wal.durableLsn]).toEqual([2, 0]);
    expect(await wal.commitBatch(wal.batch().add('c'))).toBe(3);
    expect(wal.durableLsn).toBe(3);
    await wal.shutdown();
    await using again = await Wal.open(directory, { io });
    expect(await textsOf(again)).toEqual(['a', 'b', 'c']);
  });
});

test('on real files a batch is in the log completely or not at all when the process is killed', async () => {
  const directory = `${temporaryDirectory()}/log`;
  let acknowledged = 0;
  for (const killAfter of [1, 30, 8, 60]) {
    const child = new Child(BATCHER, directory);
    let count = 0;
    for await (const line of child.lines) {
      acknowledged = Math.max(acknowledged, Number(line));
      count++;
      if (count === killAfter) void child.kill();
    }
    await child.kill();
    await using wal = await Wal.open<{ index: number }>(directory, { encoding: 'json', segmentBytes: 16 * 1024 });
    expect(wal.lastLsn).toBeGreaterThanOrEqual(acknowledged);
    expect(wal.lastLsn % 10).toBe(0);
    await wal.replay('first', ({ lsn, payload }) => expect(payload.index).toBe((lsn - 1) % 10));
  }
  expect(acknowledged).toBeGreaterThanOrEqual(990);
});

describe('a batch', () => {
  const open = async (options = {}): Promise<{ disk: StepDisk; wal: Wal }> => {
    const disk = new StepDisk();
    const time = new ManualTime();
    const directory = `${temporaryDirectory()}/log`;
    return { disk, wal: await Wal.open(directory, { io: disk.io, markAfterMs: 0, ...time.options, ...options }) };
  };

  test('is spent when it was appended, and its clone is not', async () => {
    const { wal } = await open();
    const batch = new Batch().add('a');
    await wal.commitBatch(batch);
    const spent = { code: 'WAL_STATE', state: 'spent' };
    expect(thrown(() => wal.appendBatch(batch))).toMatchObject(spent);
    expect(await rejection(wal.commitBatch(batch))).toMatchObject(spent);
    expect(thrown(() => batch.add('b'))).toMatchObject(spent);
    expect(await wal.commitBatch(batch.clone().add('b'))).toBe(3);
    expect(await textsOf(wal)).toEqual(['a', 'a', 'b']);
    await wal.shutdown();
  });

  test('that cannot be appended is not spent', async () => {
    const { wal, disk } = await open({ maxPendingBytes: 100 });
    expect(thrown(() => wal.appendBatch(new Batch()))).toMatchObject({ code: 'WAL_EMPTY_BATCH' });
    expect(await rejection(wal.commitBatch(wal.batch()))).toMatchObject({ code: 'WAL_EMPTY_BATCH' });
    expect(thrown(() => wal.appendBatch('batch' as never))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
    disk.hold('write');
    wal.append('x'.repeat(100));
    const batch = new Batch().add('later');
    expect(thrown(() => wal.appendBatch(batch))).toMatchObject({ code: 'WAL_BACKPRESSURE' });
    expect(batch.isSpent).toBe(false);
    disk.releaseAll('write');
    await wal.sync();
    expect(wal.appendBatch(batch)).toBe(2);
    await wal.shutdown();
  });

  test('waits for room in its turn, with the content it had when it was committed', async () => {
    const { wal, disk } = await open({ maxPendingBytes: 100 });
    disk.hold('write');
    const first = watch(wal.commit('x'.repeat(100)));
    const batch = new Batch().add('a').add('b');
    const second = watch(wal.commitBatch(batch));
    const third = watch(wal.commit('c'));
    expect(batch.isSpent).toBe(true);
    expect(thrown(() => batch.add('too late'))).toMatchObject({ code: 'WAL_STATE' });
    expect(thrown(() => wal.appendBatch(new Batch().add('d')))).toMatchObject({ code: 'WAL_BACKPRESSURE' });
    await turns();
    disk.releaseAll('write');
    await turns();
    expect([first.value, second.value, third.value]).toEqual([1, 3, 4]);
    expect((await textsOf(wal)).slice(1)).toEqual(['a', 'b', 'c']);
    await wal.shutdown();
  });

  test('that is rejected in its turn is unchanged', async () => {
    const { wal, disk } = await open({ maxPendingBytes: 100, maxPayloadBytes: 1000 });
    disk.hold('write');
    const first = [watch(wal.commit('x'.repeat(100))), watch(wal.commit('waits'))];
    const empty = wal.batch();
    const large = new Batch().add('y'.repeat(1001));
    const refused = [watch(wal.commitBatch(empty)), watch(wal.commitBatch(large))];
    expect([empty.isSpent, large.isSpent]).toEqual([true, true]);
    await turns();
    disk.releaseAll('write');
    await turns();
    expect(first.map(({ value }) => value)).toEqual([1, 2]);
    expect(refused.map(({ error }) => (error as WalError).code)).toEqual(['WAL_EMPTY_BATCH', 'WAL_TOO_LARGE']);
    expect([empty.isSpent, large.isSpent]).toEqual([false, false]);
    expect(await wal.commitBatch(empty.add('now it has one'))).toBe(3);
    await wal.shutdown();
  });

  test('that waits for room when the log is closed is unchanged', async () => {
    const { wal, disk } = await open({ maxPendingBytes: 100 });
    disk.hold('write');
    watch(wal.commit('x'.repeat(100)));
    const batch = new Batch().add('a');
    const commit = watch(wal.commitBatch(batch));
    const closing = wal.close();
    disk.releaseAll('write');
    await closing;
    await turns();
    expect(commit.error).toMatchObject({ code: 'WAL_CLOSED' });
    expect(batch.isSpent).toBe(false);
    const { wal: other } = await open();
    expect(await other.commitBatch(batch)).toBe(1);
    await other.shutdown();
  });

  test('is written in the background like single events', async () => {
    const time = new ManualTime();
    const { wal } = await open(time.options);
    wal.appendBatch(new Batch().add('a'));
    expect(time.fire(10)).toBe(1);
    await turns();
    expect(wal.stats()).toMatchObject({ pendingBytes: 0, groups: 1 });
    await wal.shutdown();
  });
});
