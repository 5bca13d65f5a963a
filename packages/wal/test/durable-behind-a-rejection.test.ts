import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const CALLS: readonly (readonly [string, (wal: Wal) => Promise<unknown>])[] = [
  ['checkpoint', (wal) => wal.checkpoint(wal.lastLsn)],
  ['hold', (wal) => wal.hold('reader', wal.lastLsn + 1)],
];

test.each(CALLS)('what a %s has made durable before it found no room is followed', async (_name, call) => {
  const disk = new SimulatedDisk();
  const time = new ManualTime();
  const io = disk.createStorageIo({ completesInline: false });
  const wal = await Wal.open('/log', { io, blockBytes: 512, markAfterMs: 0, preallocate: 'none', ...time.options });
  await wal.commit('first');
  const follower = wal.follow(2);
  const next = watch(follower.next());
  wal.append('second');
  time.fire();
  await turns();
  expect([wal.stats().pendingBytes, wal.durableLsn, next.state]).toEqual([0, 1, 'pending']);
  disk.failWhen(({ kind, path }) =>
    kind === 'create' || kind === 'rename' || path.includes('checkpoint') ? 'ENOSPC' : undefined,
  );
  expect(await rejection(call(wal))).toMatchObject({ code: 'WAL_NO_SPACE' });
  disk.failWhen(undefined);
  await turns();
  expect(wal.durableLsn).toBe(2);
  expect(next.value?.value).toMatchObject({ lsn: 2 });
  await wal.close();
});

test.each([true, false])(
  'what became durable while a follower looked further comes before the failure of the log (durableOnly: %s)',
  async (durableOnly) => {
    const disk = new StepDisk();
    const path = `${temporaryDirectory()}/log`;
    // With zeros behind the last event, which the follower reads.
    const options = { preallocate: 'write', markAfterMs: 0, ...new ManualTime().options } as const;
    const wal = await Wal.open(path, { io: disk.io, ...options });
    await wal.commit('first');
    const follower = wal.follow('first', { durableOnly });
    expect((await follower.next()).value).toMatchObject({ lsn: 1 });
    disk.holdResults('read');
    const next = watch(follower.next());
    await disk.held('read');
    await wal.commit('second');
    disk.fail('write', 'EIO');
    await rejection(wal.commit('third'));
    disk.releaseAll('read');
    await turns();
    expect(next.value?.value).toMatchObject({ lsn: 2 });
    expect(await rejection(follower.next())).toBe(wal.failure);
    await wal.close();
    await disk.io.dispose();
  },
);
