import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  openStorageIo,
  PortableWalWriter,
  type StorageIo,
} from '@walstack/storage-io';
import { type FollowDirectoryOptions, Wal } from '@walstack/wal';
import { expect, test } from 'vitest';
import { turns } from '../../../harness/test-kit/event-loop.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';

const backends: Readonly<Record<string, () => StorageIo>> = {
  'thread-pool': createThreadPoolStorageIo,
  'sync-fs': createSyncFsStorageIo,
  memory: createMemoryStorageIo,
  auto: () => openStorageIo('auto'),
};

/** The outcome of a promise. */
const outcome = (waiting: Promise<unknown>): Promise<unknown> =>
  waiting.then(
    () => 'done',
    (error: { code?: unknown }) => error.code,
  );

test.each(Object.keys(backends))('what waits while its backend is disposed of settles, on %s', async (name) => {
  const io = backends[name]?.() as StorageIo;
  const directory = io.capabilities.realFiles ? temporaryDirectory() : '/d';
  if (!io.capabilities.realFiles) io.makeDirectory(directory);
  const wal = await Wal.open(join(directory, 'log'), { io });
  const writer = await PortableWalWriter.open(join(directory, 'file'), { io });
  const waiting = [wal.commit('x'), wal.commit('y'), writer.append('z'), writer.sync()].map(outcome);
  const disposed = io.dispose();
  for (const end of await Promise.all(waiting)) expect(['done', 'WAL_CLOSED']).toContain(end);
  await disposed;
  expect(await outcome(wal.commit('late'))).toBe('WAL_CLOSED');
});

const openFiles = (): number => readdirSync('/proc/self/fd').length;

const refuse = (): never => {
  throw new Error('refused');
};

test.runIf(process.platform === 'linux').each<[string, FollowDirectoryOptions]>([
  ['its timer cannot be set', { setTimer: refuse }],
  [
    'its signal takes no listener',
    { signal: Object.assign(new EventTarget(), { aborted: false, addEventListener: refuse }) as never },
  ],
])('following a directory keeps nothing open when %s', async (_name, options) => {
  const path = join(temporaryDirectory(), 'log');
  await (await Wal.open(path)).shutdown();
  // Whatever a process has open for good from its first backend on.
  await Wal.follow(path, 'first', { signal: AbortSignal.abort() })
    .next()
    .catch(() => {});
  const before = openFiles();
  await expect(Wal.follow(path, 'first', options).next()).rejects.toThrow('refused');
  await turns();
  expect(openFiles()).toBe(before);
});
