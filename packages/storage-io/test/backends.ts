import { ringSupport } from '@walstack/native';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  type FileOpsOptions,
  MemoryDisk,
  type StorageIo,
} from '@walstack/storage-io';
import type { ConformanceBackend, ConformanceCreateOptions } from '@walstack/storage-io/conformance';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';

/** A way to make fresh backends, with real files of their own. */
const onRealFiles =
  (make: (options?: FileOpsOptions) => StorageIo) =>
  (options?: ConformanceCreateOptions): ConformanceBackend => ({
    io: make(options),
    another: () => make(),
    ...removableDirectory(),
  });

/** The same in memory. */
function inMemory(options?: ConformanceCreateOptions): ConformanceBackend {
  const disk = new MemoryDisk();
  const io = createMemoryStorageIo({ disk, ...options });
  io.makeDirectory('log');
  return { io, directory: 'log', another: () => createMemoryStorageIo({ disk }) };
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

/** A module that makes the same backend in another process; `undefined` for one whose files are in memory. */
export function otherProcessOf(name: string): URL | undefined {
  const made = ['sync-fs', 'thread-pool', 'io-uring'].find((kind) => name.startsWith(kind));
  return made === undefined ? undefined : new URL(`conformance-process.mjs?${made}`, import.meta.url);
}
