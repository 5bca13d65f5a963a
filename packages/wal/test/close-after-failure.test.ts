import { Wal, type WalOptions } from '@walstack/wal';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection, thrown } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const FLUSH_DELAY_MS = 7;

let disk: StepDisk;
let time: ManualTime;
let wal: Wal;

async function open(options: WalOptions = {}): Promise<Wal> {
  return Wal.open(`${temporaryDirectory()}/log`, {
    io: disk.io,
    markAfterMs: 0,
    flushDelayMs: FLUSH_DELAY_MS,
    ...time.options,
    ...options,
  });
}

/** An event that is written, and durable only when a sync succeeds. */
async function writtenEvent(): Promise<void> {
  wal.append('written');
  time.fire(FLUSH_DELAY_MS);
  await turns();
  expect([wal.stats().pendingBytes, wal.durableLsn]).toEqual([0, 1]);
}

/** A commit whose caller gives it up before its group begins. */
async function abortedCommit(): Promise<void> {
  const abort = new AbortController();
  const commit = watch(wal.commit('given up', { signal: abort.signal }));
  abort.abort();
  await turns(1);
  expect(commit.error).toMatchObject({ code: 'WAL_ABORTED' });
}

beforeEach(async () => {
  disk = new StepDisk();
  time = new ManualTime();
  wal = await open();
  await wal.commit('durable');
});

afterEach(() => disk.io.dispose());

describe('close rejects with a failure that no call of the application has reported', () => {
  test('of a background flush', async () => {
    await writtenEvent();
    disk.fail('write', 'EIO');
    wal.append('not written');
    time.fire(FLUSH_DELAY_MS);
    await turns();
    expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(await rejection(wal.close())).toBe(wal.failure);
    expect([wal.state, disk.openFiles]).toEqual(['closed', 0]);
  });

  test('of a background flush that ends behind it', async () => {
    await writtenEvent();
    disk.fail('write', 'EIO');
    wal.append('not written');
    time.fire(FLUSH_DELAY_MS);
    expect(await rejection(wal.close())).toBe(wal.failure);
  });

  test('of a group whose commit was aborted', async () => {
    await writtenEvent();
    disk.fail('datasync', 'EIO');
    await abortedCommit();
    await turns();
    expect(wal.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
    expect(await rejection(wal.close())).toBe(wal.failure);
  });

  test('of the durable write of a group whose commit was aborted', async () => {
    const durableWrites = new StepDisk(true);
    const log = await open({ io: durableWrites.io });
    await log.commit('durable');
    log.append('written');
    const abort = new AbortController();
    durableWrites.fail('writeDurable', 'EIO');
    const commit = watch(log.commit('given up', { signal: abort.signal }));
    abort.abort();
    await turns();
    expect(commit.error).toMatchObject({ code: 'WAL_ABORTED' });
    expect(await rejection(log.close())).toBe(log.failure);
    await durableWrites.io.dispose();
    await wal.close();
  });

  test('of a group whose commits were aborted while it was under way', async () => {
    const abort = new AbortController();
    disk.hold('datasync');
    const commits = ['a', 'b'].map((payload) => watch(wal.commit(payload, { signal: abort.signal })));
    const early = watch(wal.durable(2, abort));
    await disk.held('datasync');
    abort.abort();
    await turns();
    expect([...commits, early].map(({ state }) => state)).toEqual(['rejected', 'rejected', 'rejected']);
    disk.fail('datasync', 'EIO');
    disk.releaseAll('datasync');
    await turns();
    expect(await rejection(wal.close())).toBe(wal.failure);
  });

  test('of a group that was begun for a call that waited for room, and was aborted', async () => {
    const small = await open({ maxPendingBytes: 100 });
    await small.commit('durable');
    small.append('x'.repeat(50));
    await small.flush();
    const abort = new AbortController();
    disk.hold('write');
    small.append('y'.repeat(80));
    const ready = watch(small.commit('z'.repeat(80), { signal: abort.signal }));
    await disk.held('write');
    abort.abort();
    disk.fail('write', 'EIO');
    disk.releaseAll('write');
    await turns();
    expect(ready.error).toMatchObject({ code: 'WAL_ABORTED' });
    expect(await rejection(small.close())).toBe(small.failure);
    await wal.close().catch(() => {});
  });

  test('of a shutdown whose time was up', async () => {
    disk.hold('datasync');
    wal.append('written');
    const shutdown = watch(wal.shutdown({ timeoutMs: 100 }));
    await disk.held('datasync');
    time.fire(100);
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    disk.fail('datasync', 'EIO');
    disk.releaseAll('datasync');
    await turns();
    expect(wal.state).toBe('closed');
    expect(await rejection(wal.close())).toBe(wal.failure);
    expect(await rejection(wal.shutdown())).toBe(wal.failure);
  });

  test('of a shutdown whose time is up while the log is being closed', async () => {
    const closing = await open({
      onFailure: () => {
        const whenClosed = (): unknown => (closing.state === 'closed' ? time.fire(100) : queueMicrotask(whenClosed));
        whenClosed();
      },
    });
    closing.append('written');
    disk.fail('datasync', 'EIO');
    const shutdown = watch(closing.shutdown({ timeoutMs: 100 }));
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    expect(await rejection(closing.close())).toBe(closing.failure);
    expect(await rejection(closing.shutdown())).toBe(closing.failure);
    disk.heal();
    await wal.close();
  });

  test('of a shutdown whose time was up, while that closes the log', async () => {
    let closed: ReturnType<typeof watch<void>> | undefined;
    const closing = await open({
      onFailure: () => {
        const whenClosing = (): void => {
          if (closing.state === 'closed') closed = watch(closing.close());
          else queueMicrotask(whenClosing);
        };
        whenClosing();
      },
    });
    disk.hold('datasync');
    closing.append('written');
    const shutdown = watch(closing.shutdown({ timeoutMs: 100 }));
    await disk.held('datasync');
    time.fire(100);
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    disk.fail('datasync', 'EIO');
    disk.releaseAll('datasync');
    await turns();
    expect(closed?.error).toBe(closing.failure);
    disk.heal();
    await wal.close();
  });

  test('of a shutdown whose time is up while it and a close wait for the log to be closed', async () => {
    let closed: ReturnType<typeof watch<void>> | undefined;
    const closing = await open({
      onFailure: () => {
        const whenClosing = (): void => {
          if (closing.state !== 'closed') {
            queueMicrotask(whenClosing);
            return;
          }
          closed = watch(closing.close());
          time.fire(100);
        };
        whenClosing();
      },
    });
    closing.append('written');
    disk.fail('datasync', 'EIO');
    const shutdown = watch(closing.shutdown({ timeoutMs: 100 }));
    await turns();
    expect(shutdown.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    expect(closed?.error).toBe(closing.failure);
    disk.heal();
    await wal.close();
  });

  test('of a shutdown for which no timer could be set', async () => {
    const timeless = await open({
      setTimer: (callback, delayMs) => {
        if (delayMs === 100) throw new Error('no timer');
        return time.setTimer(callback, delayMs);
      },
    });
    timeless.append('written');
    disk.fail('datasync', 'EIO');
    expect(await rejection(timeless.shutdown({ timeoutMs: 100 }))).toMatchObject({ message: 'no timer' });
    await turns();
    expect(await rejection(timeless.close())).toBe(timeless.failure);
    disk.heal();
    await wal.close();
  });

  test('of a shutdown that it ends', async () => {
    disk.hold('datasync');
    wal.append('written');
    const shutdown = watch(wal.shutdown());
    await disk.held('datasync');
    const closed = watch(wal.close());
    disk.fail('datasync', 'EIO');
    disk.releaseAll('datasync');
    await turns();
    expect(closed.error).toBe(wal.failure);
    expect(shutdown.error).toMatchObject({ code: 'WAL_CLOSED' });
  });
});

describe('close does not report again a failure that a call has reported:', () => {
  test('a commit that waited for the group', async () => {
    await writtenEvent();
    disk.fail('datasync', 'EIO');
    const commit = watch(wal.commit('waits'));
    await abortedCommit();
    await turns();
    expect(commit.error).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'outcome-unknown' });
    await wal.close();
  });

  test('a call that waited for an earlier event', async () => {
    await writtenEvent();
    disk.fail('datasync', 'EIO');
    await abortedCommit();
    const durable = watch(wal.durable(2));
    await turns();
    expect(durable.error).toMatchObject({ code: 'WAL_IO_FAILED', reason: 'outcome-unknown' });
    await wal.close();
  });

  test('a call that waited for room', async () => {
    const small = await open({ maxPendingBytes: 100 });
    await small.commit('durable');
    small.append('x'.repeat(50));
    await small.flush();
    small.append('y'.repeat(80));
    disk.fail('write', 'EIO');
    expect(await rejection(small.commit('z'.repeat(80)))).toMatchObject({ code: 'WAL_IO_FAILED' });
    await small.close();
    await wal.close().catch(() => {});
  });

  test('an append behind a background flush', async () => {
    await writtenEvent();
    disk.fail('write', 'EIO');
    wal.append('not written');
    time.fire(FLUSH_DELAY_MS);
    await turns();
    expect(thrown(() => wal.append('refused'))).toMatchObject({ cause: wal.failure });
    await wal.close();
  });

  test('a shutdown', async () => {
    wal.append('written');
    disk.fail('datasync', 'EIO');
    expect(await rejection(wal.shutdown())).toBe(wal.failure);
    await wal.close();
  });

  test('a second shutdown after one whose time was up', async () => {
    disk.hold('datasync');
    wal.append('written');
    const first = watch(wal.shutdown({ timeoutMs: 100 }));
    await disk.held('datasync');
    const second = watch(wal.shutdown());
    time.fire(100);
    disk.fail('datasync', 'EIO');
    disk.releaseAll('datasync');
    await turns();
    expect(first.error).toMatchObject({ code: 'WAL_TIMEOUT' });
    expect(second.error).toBe(wal.failure);
    await wal.close();
  });
});

test('close reports no failure behind which nothing is lost', async () => {
  const marked = await open({ markAfterMs: 50 });
  await marked.commit('durable');
  disk.fail('write', 'EIO');
  expect(time.fire(50)).toBe(1);
  await turns();
  expect(marked.failure).toMatchObject({ code: 'WAL_IO_FAILED' });
  await marked.close();
  disk.heal();
  await wal.close();
});

describe('a timer that cannot be cancelled', () => {
  const setTimer = () => (): void => {
    throw new Error('it cannot be cancelled');
  };

  /** The messages of the uncaught exceptions that an action causes. */
  async function uncaughtBy(action: () => Promise<void>): Promise<string[]> {
    const others = process.listeners('uncaughtException');
    const uncaught: string[] = [];
    process.removeAllListeners('uncaughtException');
    process.on('uncaughtException', ({ message }) => uncaught.push(message));
    try {
      await action();
      await turns();
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const other of others) process.on('uncaughtException', other);
    }
    return uncaught;
  }

  const watchers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'FSEventWrap').length;

  test('does not prevent the log from being closed', async () => {
    const uncaught = await uncaughtBy(async () => {
      const endless = await open({ setTimer, markAfterMs: 50 });
      await endless.commit('durable');
      endless.append('dropped');
      await endless.close();
      const again = await Wal.open(endless.path, { io: disk.io, ...time.options });
      expect(again.lastLsn).toBe(1);
      await again.close();
    });
    expect(uncaught).toEqual(Array(2).fill('it cannot be cancelled'));
    await wal.close();
  });

  test.each(['close', 'shutdown'] as const)('does not prevent %s of a read-only log that is followed', async (end) => {
    const before = watchers();
    const uncaught = await uncaughtBy(async () => {
      const reader = await Wal.open(wal.path, { io: disk.io, recoveryMode: 'readonly', setTimer });
      await reader.follow('first', { durableOnly: false }).next();
      expect(watchers()).toBe(before + 1);
      await reader[end]();
    });
    expect(uncaught).toEqual(['it cannot be cancelled']);
    expect(watchers()).toBe(before);
    await wal.close();
    expect(disk.openFiles).toBe(0);
  });

  test('does not prevent following a directory from being ended', async () => {
    const before = watchers();
    const uncaught = await uncaughtBy(async () => {
      const follower = Wal.follow(wal.path, 'first', { durableOnly: false, setTimer });
      await follower.next();
      await follower.return();
    });
    expect(uncaught).toEqual(['it cannot be cancelled']);
    expect(watchers()).toBe(before);
    await wal.close();
  });
});
