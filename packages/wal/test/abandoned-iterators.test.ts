import { getEventListeners } from 'node:events';
import { Wal, type WalOptions } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { ManualTime } from '../../../harness/test-kit/manual-time.js';
import { rejection } from '../../../harness/test-kit/outcomes.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { watch } from './support/outcomes.js';
import { StepDisk } from './support/step-disk.js';

const opened = async (options: WalOptions = {}): Promise<{ disk: StepDisk; wal: Wal; directory: string }> => {
  // Without mappings, so that each file that is read is one that is open.
  const disk = new StepDisk(true, false);
  const directory = `${temporaryDirectory()}/log`;
  const wal = await Wal.open(directory, { io: disk.io, markAfterMs: 0, ...new ManualTime().options, ...options });
  await Promise.all(Array.from({ length: 20 }, (_, index) => wal.commit(`event ${index}`)));
  return { disk, wal, directory };
};

const END = [
  ['shutdown', (wal: Wal) => wal.shutdown()],
  ['close', (wal: Wal) => wal.close()],
] as const;

test.each(END)('%s closes the files of iterators that were left unfinished', async (_how, end) => {
  const { disk, wal } = await opened();
  const begun = [
    wal.follow()[Symbol.asyncIterator](),
    wal.follow('first', { batch: 3 })[Symbol.asyncIterator](),
    wal.iterator()[Symbol.asyncIterator](),
    wal.iterator('first', { copy: false })[Symbol.asyncIterator](),
  ];
  for (const iterator of begun) expect((await iterator.next()).done).toBe(false);
  const waiting = wal.follow(21)[Symbol.asyncIterator]();
  const next = watch(waiting.next());
  await turns();
  expect(disk.openFiles).toBeGreaterThan(begun.length);
  await end(wal);
  await turns();
  expect(disk.openFiles).toBe(0);
  expect(next.error).toMatchObject({ code: 'WAL_CLOSED' });
  for (const iterator of begun) {
    // Events read before may still come, and then the error that the log is closed.
    const error = await rejection(
      (async () => {
        while ((await iterator.next()).done !== true);
      })(),
    );
    expect(error).toMatchObject({ code: 'WAL_CLOSED' });
  }
});

test.each(END)(
  'after %s the signals of followers that were left unfinished keep nothing in memory',
  async (_how, end) => {
    const { disk, wal, directory } = await opened();
    const { signal } = new AbortController();
    const reader = await Wal.open(directory, { io: disk.io, recoveryMode: 'readonly', ...new ManualTime().options });
    const followers = [wal, reader].map((log) => log.follow('first', { signal, durableOnly: false }));
    for (const follower of followers) expect((await follower.next()).done).toBe(false);
    expect(getEventListeners(signal, 'abort')).not.toEqual([]);
    await end(wal);
    await end(reader);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  },
);

test('an iterator step under way when the log is closed closes its file when it ends', async () => {
  const { disk, wal } = await opened();
  disk.hold('read');
  const following = watch(wal.follow()[Symbol.asyncIterator]().next());
  const reading = watch(wal.iterator()[Symbol.asyncIterator]().next());
  await disk.held('read');
  await turns();
  await wal.close();
  disk.releaseAll('read');
  await turns();
  expect([following.error, reading.error]).toEqual([
    expect.objectContaining({ code: 'WAL_CLOSED' }),
    expect.objectContaining({ code: 'WAL_CLOSED' }),
  ]);
  expect(disk.openFiles).toBe(0);
});

test('closing a read-only log closes them as well', async () => {
  const { disk, wal, directory } = await opened();
  await wal.shutdown();
  const reader = await Wal.open(directory, { io: disk.io, recoveryMode: 'readonly', ...new ManualTime().options });
  const followers = [reader.follow()[Symbol.asyncIterator](), reader.iterator()[Symbol.asyncIterator]()];
  for (const follower of followers) expect((await follower.next()).done).toBe(false);
  expect(disk.openFiles).toBeGreaterThan(1);
  await reader.shutdown();
  expect(disk.openFiles).toBe(0);
});
