import { readCheckpoint } from '@walstack/mmap-reader/internal';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, runSync } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { looksDuring } from '../../../harness/test-kit/turn-clock.js';
import { FOLLOWERS, follow } from './support/followers.js';
import { DIRECTORY } from './support/logs.js';

const FOLLOWERS_COUNT = 200;

test('reading the files of many followers gives the event loop its turn', async () => {
  const io = createMemoryStorageIo();
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io, markAfterMs: 0 });
  wal.append('one');
  await wal.checkpoint(1);
  const { logId } = runSync(io, readCheckpoint(io, DIRECTORY));
  io.makeDirectory(FOLLOWERS);
  for (let each = 0; each < FOLLOWERS_COUNT; each++) follow(io, logId, `follower-${each}`, 1);
  const { looks, most } = await looksDuring(() => wal.followers());
  expect(looks).toBeGreaterThanOrEqual(FOLLOWERS_COUNT);
  expect(most).toBeLessThan(10);
  expect(wal.followersSync()).toHaveLength(FOLLOWERS_COUNT);
  await wal.close();
});
