import { Wal, WalError } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { textsOf, watch } from './support/outcomes.js';
import { type Operation, StepDisk } from './support/step-disk.js';

interface Case {
  readonly operation: Operation;
  readonly durableWrites: boolean;
  readonly systemCode: string;
  readonly code: string;
}

// A write that finds no room is no failure: see goes-on-with-room.test.ts.
const CASES: readonly Case[] = [
  { operation: 'write', durableWrites: false, systemCode: 'EIO', code: 'WAL_IO_FAILED' },
  { operation: 'datasync', durableWrites: false, systemCode: 'EIO', code: 'WAL_IO_FAILED' },
  { operation: 'datasync', durableWrites: false, systemCode: 'ENOSPC', code: 'WAL_NO_SPACE' },
  { operation: 'datasync', durableWrites: false, systemCode: 'EDQUOT', code: 'WAL_NO_SPACE' },
  { operation: 'writeDurable', durableWrites: true, systemCode: 'EIO', code: 'WAL_IO_FAILED' },
];

describe.each(CASES)('$operation fails with $systemCode', ({ operation, durableWrites, systemCode, code }) => {
  let disk: StepDisk;
  let directory: string;
  let wal: Wal;

  const open = (): Promise<Wal> => Wal.open(directory, { io: disk.io, ...new ManualTime().options });

  /** Two durable events, and a failure with which all calls were rejected. */
  const failed = async (): Promise<WalError> => {
    disk.fail(operation, systemCode);
    await rejection(wal.commit('lost, or not'));
    disk.heal();
    return wal.failure as WalError;
  };

  beforeEach(async () => {
    disk = new StepDisk(durableWrites);
    directory = `${temporaryDirectory()}/log`;
    wal = await open();
    await wal.commit('durable 1');
    await wal.commit('durable 2');
  });

  afterEach(async () => {
    await wal.close();
    await disk.io.dispose();
  });

  test('every commit that waits is rejected: the outcome is unknown', async () => {
    disk.hold(operation);
    const commits = ['a', 'b', 'c'].map((payload) => watch(wal.commit(payload)));
    await disk.held(operation);
    const later = ['d', 'e'].map((payload) => watch(wal.commit(payload)));
    const durable = watch(wal.durable(4));
    disk.fail(operation, systemCode);
    disk.releaseAll(operation);
    await turns();
    const { failure } = wal;
    expect(failure).toMatchObject({ code, systemCode, path: expect.stringContaining(directory) });
    const errors = [...commits, ...later].map(({ error }) => error as WalError);
    errors.forEach((error, index) => {
      expect(error).toMatchObject({ code, reason: 'outcome-unknown', lsn: index + 3 });
      expect(error.cause).toBe(failure);
      expect(error.message).toContain('unknown');
      expect(WalError.is(error)).toBe(true);
    });
    expect(durable.error).toMatchObject({ code, reason: 'outcome-unknown', lsn: 4, cause: failure });
    expect([wal.durableLsn, wal.stats().waitingCommits]).toEqual([2, 0]);
  });

  test('afterwards everything is rejected with that code, without access to the disk', async () => {
    const failure = await failed();
    disk.calls.length = 0;
    const refused = { code, cause: failure };
    expect(thrown(() => wal.append('x'))).toMatchObject(refused);
    expect(await rejection(wal.commit('x'))).toMatchObject(refused);
    expect(await rejection(wal.ready())).toMatchObject(refused);
    expect(await rejection(wal.flush())).toMatchObject(refused);
    expect(await rejection(wal.sync())).toMatchObject(refused);
    expect(await rejection(wal.durable(3))).toMatchObject(refused);
    await turns();
    expect(disk.calls).toEqual([]);
    expect(wal.failure).toBe(failure);
    expect([wal.lastLsn, wal.durableLsn, wal.state]).toEqual([3, 2, 'failed']);
  });

  test('events that were durable stay so, and can be read', async () => {
    await failed();
    await wal.durable(2);
    expect(await textsOf(wal)).toEqual(['durable 1', 'durable 2']);
    const found: number[] = [];
    for await (const { lsn } of wal.iterator(2)) found.push(lsn);
    expect(found).toEqual([2]);
  });

  test('a replay under way when the log fails continues', async () => {
    let count = 0;
    for await (const _event of wal.iterator()) {
      count++;
      if (count === 1) await failed();
    }
    expect(count).toBe(2);
  });

  test('an explicit sync or flush that fails is rejected, and so are the commits that wait', async () => {
    disk.fail(operation, systemCode);
    const commit = watch(wal.commit('x'));
    const error = await rejection(wal.sync());
    expect(error).toBe(wal.failure);
    await turns();
    expect(commit.error).toMatchObject({ code, reason: 'outcome-unknown', cause: error });
  });

  test('shutdown rejects with the failure but closes the log, and reopening recovers it', async () => {
    const failure = await failed();
    expect(await rejection(wal.shutdown())).toBe(failure);
    expect(await rejection(wal.shutdown())).toBe(failure);
    expect(wal.state).toBe('closed');
    expect(disk.openFiles).toBe(0);
    const again = await open();
    const texts = await textsOf(again);
    expect(texts.slice(0, 2)).toEqual(['durable 1', 'durable 2']);
    expect(texts.slice(2)).toEqual(texts.length === 2 ? [] : ['lost, or not']);
    expect(again.recovery.cleanlyClosed).toBe(false);
    expect(await again.commit('continued')).toBe(texts.length + 1);
    await again.shutdown();
  });

  test('close releases everything without access to the disk', async () => {
    await failed();
    disk.calls.length = 0;
    await wal.close();
    expect([disk.calls, disk.openFiles, wal.state]).toEqual([[], 0, 'closed']);
    await (await open()).shutdown();
  });

  test('a failure while it drains rejects the commits and the shutdown', async () => {
    disk.hold(operation);
    const commit = watch(wal.commit('x'));
    await disk.held(operation);
    wal.append('y');
    const shutdown = watch(wal.shutdown());
    disk.fail(operation, systemCode);
    disk.releaseAll(operation);
    await turns();
    expect(commit.error).toMatchObject({ code, reason: 'outcome-unknown' });
    expect(shutdown.error).toBe(wal.failure);
    expect([wal.state, disk.openFiles]).toEqual(['closed', 0]);
  });
});

test('a failure that no call waits for is in the property failure', async () => {
  const disk = new StepDisk();
  const time = new ManualTime();
  const wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io, markAfterMs: 50, ...time.options });
  await wal.commit('a');
  disk.fail('write', 'EIO');
  expect(time.fire(50)).toBe(1);
  await turns();
  expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
  expect(thrown(() => wal.append('b'))).toMatchObject({ code: 'WAL_IO_FAILED', cause: wal.failure });
  await wal.close();
  await disk.io.dispose();
});

test('a roll that fails is a failure as well', async () => {
  const disk = new StepDisk();
  const options = { io: disk.io, segmentBytes: 4096, blockBytes: 512, ...new ManualTime().options };
  const wal = await Wal.open(`${temporaryDirectory()}/log`, options);
  await wal.commit('x'.repeat(3000));
  disk.fail('syncDirectory', 'EIO');
  const error = await rejection(wal.commit('x'.repeat(3000)));
  expect(error).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'outcome-unknown', lsn: 2, cause: wal.failure });
  await wal.close();
  disk.heal();
  const again = await Wal.open(wal.path, options);
  expect(again.lastLsn).toBeGreaterThanOrEqual(1);
  await again.shutdown();
  await disk.io.dispose();
});

test('a log on a full disk opens and is read, rejects appends, and accepts them when there is space again', async () => {
  const disk = new StepDisk();
  const open = (): Promise<Wal> =>
    Wal.open(`${directory}/log`, { io: disk.io, markAfterMs: 0, ...new ManualTime().options });
  const directory = temporaryDirectory();
  const killed = await open();
  await killed.commit('a');
  disk.fail('write', 'EIO');
  await rejection(killed.commit('never written'));
  await killed.close();
  disk.heal();

  disk.full = true;
  const wal = await open();
  expect(wal.recovery).toMatchObject({ cleanlyClosed: false, lastLsn: 1 });
  const refused = { code: 'WAL_NO_SPACE', systemCode: 'ENOSPC' };
  expect(thrown(() => wal.append('b'))).toMatchObject(refused);
  const error = await rejection(wal.commit('b'));
  expect(error).toMatchObject(refused);
  expect(error).not.toHaveProperty('reason', 'outcome-unknown');
  expect(await rejection(wal.ready())).toMatchObject(refused);
  await wal.sync();
  expect(await textsOf(wal)).toEqual(['a']);
  expect([wal.failure, wal.state, wal.lastLsn]).toEqual([undefined, 'running', 1]);

  disk.full = false;
  expect(thrown(() => wal.append('b'))).toMatchObject(refused);
  await turns();
  expect(await wal.commit('b')).toBe(2);
  await wal.shutdown();
  disk.full = true;
  const again = await open();
  expect(await textsOf(again)).toEqual(['a', 'b']);
  await again.shutdown();
  await disk.io.dispose();
});

test('onFailure is called once for a failure of a background flush', async () => {
  const disk = new StepDisk();
  const time = new ManualTime();
  const heard: WalError[] = [];
  const onFailure = (failure: WalError): unknown => heard.push(failure);
  const wal = await Wal.open(`${temporaryDirectory()}/log`, { io: disk.io, onFailure, ...time.options });
  wal.append('flushed in the background');
  disk.fail('write', 'EIO');
  time.fire(10);
  await turns();
  expect(heard).toEqual([wal.failure]);
  expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
  await rejection(wal.commit('refused'));
  await rejection(wal.shutdown());
  expect(heard).toHaveLength(1);
});
