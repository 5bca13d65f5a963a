import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type CommitMessage, Wal } from '@walstack/wal';
import { expect, onTestFinished, test } from 'vitest';
import { BACKENDS, directoryFor } from './support/directories.js';

function listen(): CommitMessage[] {
  const heard: CommitMessage[] = [];
  const listener = (message: unknown): void => {
    heard.push(message as CommitMessage);
  };
  subscribe('walstack:commit', listener);
  onTestFinished(() => {
    unsubscribe('walstack:commit', listener);
  });
  return heard;
}

test.each(BACKENDS)('commits that are resolved together are one message, on %s', async (_name, create) => {
  const heard = listen();
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
  const heard = listen();
  const wal = await Wal.open('/log', { io: 'memory' });
  const commits = Array.from({ length: 100 }, (_, index) => wal.commit(`${index}`));
  await Promise.all([...commits, wal.shutdown()]);
  expect(heard.reduce((sum, { commits: served }) => sum + served, 0)).toBe(100);
  expect(heard.at(-1)?.durableLsn).toBe(100);
});
