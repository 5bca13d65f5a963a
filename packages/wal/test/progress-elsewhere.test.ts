import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, MemoryDisk } from '@walstack/storage-io';
import { Wal, type WalProgress } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { take } from './support/named-logs.js';
import { watch } from './support/outcomes.js';

const DIRECTORY = '/log';
const POLL_MS = 77;

test('a follower that has reached the end, and then begins elsewhere, reports nothing any more', async () => {
  turnsByLooks(0);
  turnsByLooks(0);
  const disk = new MemoryDisk();
  const io = createMemoryStorageIo({ disk });
  let nowMs = 1000;
  const config = {
    directory: DIRECTORY,
    segmentBytes: 4096,
    blockBytes: 512,
    markAfterMs: 0,
    followerExpiryMs: 60_000,
  };
  const wal = SegmentedWal.openSync({ ...config, io: createMemoryStorageIo({ disk }), now: () => nowMs });
  const append = (count: number): void => {
    for (let each = 0; each < count; each++) wal.append('x'.repeat(300));
    wal.syncSync();
  };
  append(20);
  const before = Wal.follow(DIRECTORY, 'first', { name: 'f', io, durableOnly: false, now: () => nowMs });
  await take(before, 20);
  await before.acknowledge();
  await before.return();
  // The next event is not in the log yet, and the writer takes the follower for expired.
  wal.truncateBeforeSync(21);
  nowMs += 3_600_000;

  const reports: WalProgress[] = [];
  let isRemoved = false;
  const time = new ManualTime();
  const follower = Wal.follow(DIRECTORY, 'stored', {
    ...{ name: 'f', io, durableOnly: false, onTruncated: 'skip', pollMs: POLL_MS, setTimer: time.options.setTimer },
    onProgress: (progress) => reports.push(progress),
    // Called when it stores where it begins.
    now: () => {
      if (reports.length > 0 && !isRemoved) {
        isRemoved = true;
        append(60);
        wal.truncateBeforeSync(wal.lastLsn - 5);
      }
      return 1000;
    },
  });
  const taking = watch(take(follower, 3));
  while (taking.state === 'pending') {
    time.fire(POLL_MS);
    await turns();
  }
  expect(follower.skipped).toMatchObject([{ fromLsn: 21 }]);
  const rest = watch(take(follower, wal.lastLsn));
  const positionOf = (): number | undefined => follower.position;
  while (positionOf() !== wal.nextLsn) await turns();
  for (let poll = 0; poll < 5; poll++) {
    time.fire(POLL_MS);
    await turns();
  }
  await follower.return();
  expect(rest.state).toBe('rejected');
  wal.closeSync();
  expect(reports).toHaveLength(1);
  expect(reports[0]?.bytes).toBe(reports[0]?.totalBytes);
});
