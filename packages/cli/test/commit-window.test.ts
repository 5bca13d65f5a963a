import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { CommitWindow } from '../src/write/commit-window.js';

/** A window over commits that the test settles. */
function opened() {
  const commits: { record: number; resolve: (place: number) => void; reject: (error: Error) => void }[] = [];
  const acknowledged: number[] = [];
  const failed = new AbortController();
  const window = new CommitWindow<number>(
    (record) => new Promise((resolve, reject) => commits.push({ record, resolve, reject })),
    (_place, record) => void acknowledged.push(record),
    async () => {},
    failed,
  );
  return { window, commits, acknowledged, failed };
}

test('behind a failure nothing is committed, and what reads the records is ended at once', async () => {
  const { window, commits, acknowledged, failed } = opened();
  const full = new Error('no room');
  for (const record of [1, 2, 3]) await window.add(record, 1);
  commits[0]?.resolve(1);
  commits[1]?.reject(full);
  await turn();
  expect(failed.signal.aborted).toBe(true);
  await expect(window.add(4, 1)).rejects.toBe(full);
  expect(commits.map(({ record }) => record)).toEqual([1, 2, 3]);
  const settled = window.settle();
  commits[2]?.resolve(2);
  await expect(settled).rejects.toBe(full);
  expect(acknowledged).toEqual([1]);
});

test('settling waits for what is under way behind a failure', async () => {
  const { window, commits } = opened();
  for (const record of [1, 2]) await window.add(record, 1);
  commits[0]?.reject(new Error('no room'));
  let isSettled = false;
  const settled = window.settle().finally(() => {
    isSettled = true;
  });
  settled.catch(() => {});
  await turn();
  expect(isSettled).toBe(false);
  commits[1]?.resolve(1);
  await expect(settled).rejects.toThrow('no room');
});
