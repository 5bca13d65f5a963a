import { getEventListeners } from 'node:events';
import { existsSync } from 'node:fs';
import { Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

async function opened() {
  const disk = new StepDisk(false, false);
  const directory = temporaryDirectory();
  const options = { io: disk.io, markAfterMs: 0, reserveBytes: 0, ...new ManualTime().options };
  const wal = await Wal.open(`${directory}/log`, options);
  for (let event = 1; event <= 10; event++) await wal.commit(`event ${event}`);
  const controller = new AbortController();
  return { disk, directory, wal, controller, signal: controller.signal };
}

test('a signal ends a reading that waits for a disk that does not answer', async () => {
  const { disk, wal, controller, signal } = await opened();
  disk.hold('datasync');
  const commit = watch(wal.commit('slow'));
  await disk.held('datasync');
  const readings = [
    watch(wal.replay('first', () => {}, { signal })),
    watch(wal.iterator('first', { signal })[Symbol.asyncIterator]().next()),
  ];
  const unlimited = watch(wal.replay('first', () => {}));
  await turns();
  controller.abort('enough');
  await turns();
  for (const { error } of readings) expect(error).toMatchObject({ code: 'WAL_ABORTED', cause: 'enough' });
  expect([commit.value, unlimited.value]).toEqual([undefined, undefined]);
  disk.releaseAll('datasync');
  await turns(200);
  expect([commit.value, unlimited.value]).toEqual([11, 11]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  await wal.shutdown();
  expect(disk.openFiles).toBe(0);
});

test('a signal ends a backup that waits for another one, and nothing is made', async () => {
  const { disk, directory, wal, controller, signal } = await opened();
  disk.hold('datasync');
  const first = watch(wal.backup(`${directory}/first`));
  await disk.held('datasync');
  const second = watch(wal.backup(`${directory}/second`, { signal }));
  await turns();
  controller.abort('enough');
  await turns();
  expect(second.error).toMatchObject({ code: 'WAL_ABORTED', cause: 'enough' });
  expect(first.value).toBeUndefined();
  disk.releaseAll('datasync');
  await turns(200);
  expect(first.value).toMatchObject({ lastLsn: 10 });
  expect(existsSync(`${directory}/second`)).toBe(false);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  await wal.shutdown();
  expect(disk.openFiles).toBe(0);
});

test('a signal ends a backup while its copy is verified', async () => {
  const { disk, directory, wal, controller, signal } = await opened();
  const onProgress = ({ bytes, totalBytes }: { bytes: number; totalBytes: number }): void => {
    // Everything is copied: what is read from now on verifies the copy.
    if (bytes === totalBytes) disk.hold('read');
  };
  const backup = watch(wal.backup(`${directory}/backup`, { signal, onProgress }));
  await disk.held('read');
  controller.abort('enough');
  disk.release('read');
  await turns(200);
  expect(backup.error).toMatchObject({ code: 'WAL_ABORTED', cause: 'enough' });
  disk.releaseAll('read');
  await wal.shutdown();
  expect(disk.openFiles).toBe(0);
});

test('a signal ends a backup that waits until the log is durable, and what was there before is as it was', async () => {
  const { disk, directory, wal, controller, signal } = await opened();
  await wal.backup(`${directory}/backup`);
  wal.append('not durable yet');
  disk.hold('datasync');
  const backup = watch(wal.backup(`${directory}/backup`, { signal }));
  await disk.held('datasync');
  await turns();
  controller.abort('enough');
  await turns();
  expect(backup.error).toMatchObject({ code: 'WAL_ABORTED', cause: 'enough' });
  disk.releaseAll('datasync');
  const before = await Wal.open(`${directory}/backup`, { recoveryMode: 'readonly' });
  expect(before.lastLsn).toBe(10);
  await before.close();
  expect(await wal.backup(`${directory}/backup`)).toMatchObject({ lastLsn: 11 });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
  await wal.shutdown();
  expect(disk.openFiles).toBe(0);
});
