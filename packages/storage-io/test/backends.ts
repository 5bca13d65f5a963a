import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ringSupport } from '@walstack/native';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  type FileOpsOptions,
  MemoryWorld,
  type StorageIo,
} from '@walstack/storage-io';
import type { ConformanceBackend, ConformanceCreateOptions } from '@walstack/storage-io/conformance';

/** A directory of its own for one test, and how to get rid of it. */
export function temporaryDirectory(): { directory: string; destroy(): void } {
  const directory = mkdtempSync(join(tmpdir(), 'walstack-storage-io-'));
  return { directory, destroy: () => rmSync(directory, { recursive: true, force: true }) };
}

/** A way to make fresh backends, with real files of their own. */
const onRealFiles =
  (make: (options?: FileOpsOptions) => StorageIo) =>
  (options?: ConformanceCreateOptions): ConformanceBackend => ({
    io: make(options),
    another: () => make(),
    ...temporaryDirectory(),
  });

/** The same in memory. */
function inMemory(options?: ConformanceCreateOptions): ConformanceBackend {
  const world = new MemoryWorld();
  const io = createMemoryStorageIo({ world, ...options });
  io.makeDirectory('log');
  return { io, directory: 'log', another: () => createMemoryStorageIo({ world }) };
}

/** Every backend of this package, by its name. */
export const backends: Readonly<Record<string, (options?: ConformanceCreateOptions) => ConformanceBackend>> = {
  'sync-fs': onRealFiles(createSyncFsStorageIo),
  'thread-pool': onRealFiles(createThreadPoolStorageIo),
  memory: inMemory,
  ...(ringSupport().available
    ? {
        'io-uring': onRealFiles(createIoUringStorageIo),
        'io-uring, kernel polling': onRealFiles((options) =>
          createIoUringStorageIo({ kernelPolling: true, kernelPollingIdleMs: 1, ...options }),
        ),
        'io-uring, little of everything': onRealFiles((options) =>
          createIoUringStorageIo({ queueEntries: 2, maxInFlight: 3, registeredBuffers: 2, ...options }),
        ),
        'io-uring, buffered': onRealFiles((options) => createIoUringStorageIo({ directIo: false, ...options })),
      }
    : {}),
};
