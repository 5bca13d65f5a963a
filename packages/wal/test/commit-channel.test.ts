import { type CommitMessage, Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { BACKENDS, directoryFor } from '../../../harness/test-kit/backends.js';
import { listen } from '../../../harness/test-kit/channels.js';

function listenToCommits(): CommitMessage[] {
  const heard: CommitMessage[] = [];
  listen('walstack:commit', (message) => heard.push(message as CommitMessage));
  return heard;
}

test.each(BACKENDS)('commits that are resolved together are one message, on %s', async (_name, create) => {
  const heard = listenToCommits();
  await using io = create();
  const directory = directoryFor(io);
  await using wal = await Wal.open(directory, { io });
  await Promise.all([wal.commit('a'), wal.commit('b'), wal.durable(2)]);
  const durationMs = expect.any(Number);
  expect(heard).toEqual([{ directory, commits: 3, durableLsn: 2, durationMs }]);
  expect(heard[0]?.durationMs).toBeGreaterThan(0);
  expect(wal.stats().commits).toBe(3);
  wal.append('c');
  await wal.sync();
  expect(heard).toHaveLength(1);
});

test('commits resolved by shutdown are published without a duration, and every commit once', async () => {
  const heard = listenToCommits();
  const wal = await Wal.open('/log', { io: 'memory' });
  const commits = Array.from({ length: 100 }, (_, index) => wal.commit(`${index}`));
  await Promise.all([...commits, wal.shutdown()]);
  expect(heard.reduce((sum, { commits: served }) => sum + served, 0)).toBe(100);
  expect(heard.at(-1)?.durableLsn).toBe(100);
});
