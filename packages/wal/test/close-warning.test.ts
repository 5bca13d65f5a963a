import process from 'node:process';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { Wal, type WalOptions } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

let warnings: Error[];
let directory: string;
let time: ManualTime;

const listen = (warning: Error): void => {
  warnings.push(warning);
};

beforeEach(() => {
  warnings = [];
  directory = `${temporaryDirectory()}/log`;
  time = new ManualTime();
  process.on('warning', listen);
});

afterEach(() => {
  process.off('warning', listen);
});

/** What was warned of; `process.emitWarning` emits in a later turn. */
async function warned(): Promise<readonly Error[]> {
  await turns();
  return warnings;
}

const open = (options: WalOptions = {}): Promise<Wal> =>
  Wal.open(directory, { io: 'sync-fs', markAfterMs: 0, ...time.options, ...options });

describe('close warns once of the events that it drops', () => {
  test('with their number, and with the log', async () => {
    const wal = await open();
    await wal.commit('durable');
    wal.append('written');
    await wal.flush();
    for (const payload of ['a', 'b', 'c']) wal.append(payload);
    await Promise.all([wal.close(), wal.close()]);
    await wal.close();
    expect(await warned()).toMatchObject([{ name: 'WalWarning', code: 'WAL_CLOSE_PENDING' }]);
    expect(warnings[0]?.message).toBe(
      `close() dropped 3 events that were not written yet, of the log in ${directory}: ` +
        'await shutdown() keeps them, close({ discard: true }) drops them without this warning',
    );
  });

  test('also of a single event whose commit it rejects', async () => {
    const wal = await open();
    const commit = watch(wal.commit('a'));
    await wal.close();
    expect(commit.error).toMatchObject({ code: 'WAL_CLOSED' });
    expect((await warned())[0]?.message).toMatch(/^close\(\) dropped 1 event that was not written yet, /);
  });

  test.each([false, true])('not of those that a write under way has taken, durable writes: %s', async (durable) => {
    const disk = new StepDisk(durable);
    const wal = await open({ io: disk.io, preallocate: 'none' });
    await wal.commit('durable');
    const operation = durable ? 'writeDurable' : 'write';
    disk.hold(operation);
    const taken = watch(wal.commit('taken'));
    await disk.held(operation);
    wal.append('dropped');
    wal.append('dropped');
    const closed = wal.close();
    disk.releaseAll(operation);
    await closed;
    expect(taken.error).toMatchObject({ code: 'WAL_CLOSED' });
    expect((await warned()).map(({ message }) => message.slice(0, 24))).toEqual(['close() dropped 2 events']);
    const again = await open({ io: disk.io });
    expect(again.lastLsn).toBe(2);
    await again.close();
    await disk.io.dispose();
  });

  test('not of those that a cut has dropped before', async () => {
    const wal = await open();
    await wal.commit('kept');
    wal.append('cut off');
    const cut = wal.truncateAfter(1);
    const closed = wal.close();
    await Promise.all([cut, closed]);
    expect(await warned()).toEqual([]);
  });

  test('also after a shutdown whose time was up', async () => {
    const disk = new StepDisk();
    const wal = await open({ io: disk.io, maxPendingBytes: 100 });
    disk.hold('write');
    const commits = ['x', 'y'].map((letter) => watch(wal.commit(letter.repeat(90))));
    await disk.held('write');
    const shutdown = watch(wal.shutdown({ timeoutMs: 5 }));
    time.fire(5);
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    const closed = watch(wal.close());
    disk.releaseAll('write');
    await turns(50);
    expect([closed.state, ...commits.map(({ state }) => state)]).toEqual(['fulfilled', 'rejected', 'rejected']);
    // What waited for room was never appended, so it is not dropped.
    expect(await warned()).toEqual([]);
    await disk.io.dispose();
  });

  test('on a backend in memory as well', async () => {
    const io = createMemoryStorageIo();
    const wal = await open({ io });
    wal.append('dropped');
    await wal.close();
    expect(await warned()).toMatchObject([{ code: 'WAL_CLOSE_PENDING' }]);
    await io.dispose();
  });
});

describe('close is silent', () => {
  test.each<[string, (wal: Wal) => unknown]>([
    ['when nothing was appended', () => undefined],
    ['when all is durable', (wal) => wal.commit('a')],
    ['when all was written', (wal) => [wal.append('a'), wal.flush()][1]],
    ['after a shutdown', (wal) => [wal.append('a'), wal.shutdown()][1]],
  ])('%s', async (_when, use) => {
    const wal = await open();
    await use(wal);
    await wal.close();
    expect(await warned()).toEqual([]);
  });

  test('with discard, and drops the same', async () => {
    const wal = await open();
    await wal.commit('durable');
    wal.append('dropped');
    await wal.close({ discard: true });
    expect(await warned()).toEqual([]);
    const again = await open();
    expect(again.lastLsn).toBe(1);
    await again.close();
  });

  test('when the log has failed, which its calls report', async () => {
    const disk = new StepDisk();
    const wal = await open({ io: disk.io });
    wal.append('a');
    disk.fail('write', 'EIO');
    expect(await rejection(wal.sync())).toMatchObject({ code: 'WAL_IO_FAILED' });
    await wal.close();
    expect(await warned()).toEqual([]);
    await disk.io.dispose();
  });
});

test.each([
  ['a discard that is no boolean', { discard: 1 }],
  ['an unknown option', { drop: true }],
  ['null', null],
])('refuses %s, and the log runs on', async (_what, options) => {
  const wal = await open();
  expect(await rejection(wal.close(options as object))).toMatchObject({ code: 'ERR_INVALID_ARG_TYPE' });
  expect(wal.state).toBe('running');
  await wal.commit('a');
  await wal.close();
});
