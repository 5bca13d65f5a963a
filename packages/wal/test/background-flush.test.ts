import { Wal, type WalOptions } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { StepDisk } from './support/step-disk.js';

const FLUSH_DELAY_MS = 7;

let disk: StepDisk;
let time: ManualTime;
let wal: Wal;

/** A log whose timers are fired by hand. */
async function open(options: WalOptions = {}): Promise<void> {
  wal = await Wal.open(`${temporaryDirectory()}/log`, {
    io: disk.io,
    markAfterMs: 0,
    flushDelayMs: FLUSH_DELAY_MS,
    ...time.options,
    ...options,
  });
  disk.calls.length = 0;
}

beforeEach(() => {
  disk = new StepDisk();
  time = new ManualTime();
});

afterEach(async () => {
  disk.heal();
  disk.releaseAll('write');
  disk.releaseAll('datasync');
  await wal.close();
  await disk.io.dispose();
});

describe('flushDelayMs', () => {
  test('appended events are written when the delay ends, and not made durable', async () => {
    await open();
    wal.append('a');
    wal.append('b');
    expect(time.waiting).toEqual([FLUSH_DELAY_MS]);
    await turns();
    expect(disk.calls).toEqual([]);
    time.fire();
    await turns();
    expect(disk.calls).toEqual(['write']);
    expect([wal.durableLsn, wal.stats().pendingBytes]).toEqual([0, 0]);
  });

  test('the delay starts again with the first append after a flush', async () => {
    await open();
    wal.append('a');
    time.fire();
    await turns();
    expect(time.waiting).toEqual([]);
    wal.append('b');
    expect(time.waiting).toEqual([FLUSH_DELAY_MS]);
    time.fire();
    await turns();
    expect(disk.calls).toEqual(['write', 'write']);
  });

  test('events appended during a flush are written when their own delay ends', async () => {
    await open();
    disk.hold('write');
    wal.append('a');
    time.fire();
    await disk.held('write');
    wal.append('b');
    expect(time.waiting).toEqual([FLUSH_DELAY_MS]);
    disk.releaseAll('write');
    await turns();
    expect(wal.stats().pendingBytes).toBeGreaterThan(0);
    time.fire();
    await turns();
    expect(wal.stats().pendingBytes).toBe(0);
    expect(disk.calls).toEqual(['write', 'write']);
  });

  test('when the delay ends during a flush, another flush follows', async () => {
    await open();
    disk.hold('write');
    wal.append('a');
    time.fire();
    await disk.held('write');
    wal.append('b');
    time.fire();
    disk.releaseAll('write');
    await turns();
    expect(disk.calls).toEqual(['write', 'write']);
    expect(wal.stats().pendingBytes).toBe(0);
  });

  test('commits set no timer', async () => {
    await open();
    await wal.commit('a');
    expect(time.waiting).toEqual([]);
  });
});

describe('flushBytes', () => {
  test('appended events are written as soon as flushBytes are pending', async () => {
    await open({ flushBytes: 1000 });
    wal.append('x'.repeat(500));
    await turns();
    expect(disk.calls).toEqual([]);
    wal.append('x'.repeat(500));
    await turns();
    expect(disk.calls).toEqual(['write']);
    expect([wal.durableLsn, wal.stats().pendingBytes]).toEqual([0, 0]);
    expect(time.waiting).toEqual([]);
  });

  test('there is one flush at a time, and the next when flushBytes are pending again', async () => {
    await open({ flushBytes: 1000 });
    disk.hold('write');
    wal.append('x'.repeat(1000));
    await disk.held('write');
    for (let each = 0; each < 10; each++) wal.append('x'.repeat(1000));
    await turns();
    expect(disk.calls).toEqual(['write']);
    disk.releaseAll('write');
    await turns();
    expect(disk.calls).toEqual(['write', 'write']);
    expect(wal.stats().pendingBytes).toBe(0);
  });
});

test('nothing is flushed in the background after close', async () => {
  await open();
  disk.hold('write');
  wal.append('a');
  time.fire();
  await disk.held('write');
  wal.append('b');
  const closed = wal.close();
  expect(time.waiting).toEqual([]);
  disk.releaseAll('write');
  await closed;
  await turns();
  expect(time.waiting).toEqual([]);
});

test('a failed background flush is in failure, and later calls are rejected', async () => {
  await open();
  disk.fail('write', 'EIO');
  wal.append('a');
  time.fire();
  await turns();
  expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED', systemCode: 'EIO' });
  expect(() => wal.append('b')).toThrow(expect.objectContaining({ code: 'WAL_IO_FAILED', cause: wal.failure }));
  expect(await rejection(wal.commit('b'))).toMatchObject({ code: 'WAL_IO_FAILED', cause: wal.failure });
  expect(time.waiting).toEqual([]);
});

test('when the delay ends during a flush, nothing is written before that flush has ended', async () => {
  await open();
  disk.hold('write');
  wal.append('a');
  time.fire();
  await disk.held('write');
  for (const payload of ['b', 'c', 'd']) {
    wal.append(payload);
    time.fire();
    await turns();
  }
  expect(disk.calls).toEqual(['write']);
  disk.releaseAll('write');
  await turns();
  expect(disk.calls).toEqual(['write', 'write']);
  expect(wal.stats().pendingBytes).toBe(0);
});
