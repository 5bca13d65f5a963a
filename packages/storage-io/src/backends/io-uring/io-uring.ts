import { WalError } from '@walstack/codec';
import { allocateAligned, Ring, ringFailure } from '@walstack/native';
import type { FileNamespaceOps } from '../../engine/file-ops.js';
import { FileOpsStorageIo } from '../../engine/file-ops-storage-io.js';
import type { StorageIo } from '../../storage-io.js';
import { fileSystemOf } from '../file-system.js';
import { MEMORY_ALIGNMENT, nodeFsNamespace } from '../node-fs/node-fs-namespace.js';
import { IoUringExecutor } from './io-uring-executor.js';
import { type IoUringOptions, type IoUringSettings, ioUringSettings } from './options.js';
import { RegisteredBuffers } from './registered-buffers.js';

/**
 * A backend on an io_uring ring: on Linux, with the native addon. Operations of one turn of the event loop go to the
 * kernel in one system call, and run side by side; durable writes need no sync of their own, and with direct I/O they
 * overlap on the disk. Where the file system of a file was not shown to make such writes durable, each is carried out
 * as a write and a datasync, and writes made meanwhile share the next datasync. It never blocks the event loop while
 * the disk works, and can also block the thread to wait.
 *
 * Operations on names (open, rename, list …) are those of `node:fs`.
 *
 * @throws `WAL_UNSUPPORTED` with the reason when no ring can be made here; `TypeError` (`ERR_INVALID_ARG_TYPE`),
 * `RangeError` (`ERR_OUT_OF_RANGE`)
 */
export function createIoUringStorageIo(options: IoUringOptions = {}): StorageIo {
  const settings = ioUringSettings(options);
  const { maxPending, maxInFlight, registeredBuffers, registeredBufferBytes } = settings;
  const ring = makeRing(settings);
  const registered = new RegisteredBuffers(ring, registeredBuffers, registeredBufferBytes);
  const namespace = namespaceOps(settings, registered);
  return new FileOpsStorageIo(
    namespace,
    { maxPending },
    (submissions) =>
      new IoUringExecutor({
        ring,
        registered,
        namespace,
        submissions,
        maxPending,
        maxInFlight,
        honoursDurableWrites: (fd) => fileSystemOf(fd)?.durableWrites ?? false,
      }),
  );
}

function makeRing(settings: IoUringSettings): Ring {
  const { queueEntries, maxPending, maxInFlight, kernelPolling, kernelPollingIdleMs, registeredBuffers } = settings;
  try {
    return new Ring({
      entries: queueEntries,
      completionEntries: Math.max(queueEntries, maxInFlight),
      slots: maxPending,
      kernelPolling,
      kernelPollingIdleMs,
      registeredBuffers,
    });
  } catch (error) {
    throw unsupported(error);
  }
}

function namespaceOps({ directIo }: IoUringSettings, registered: RegisteredBuffers): FileNamespaceOps<number> {
  const { directAlignment, ...others } = nodeFsNamespace;
  return {
    ...others,
    name: 'io-uring',
    overlappedWrites: true,
    ...(directIo && directAlignment !== undefined ? { directAlignment } : {}),
    allocateBuffer: (bytes) => registered.add(allocateAligned(bytes, MEMORY_ALIGNMENT)),
  };
}

function unsupported(cause: unknown): WalError {
  const message = `no io-uring backend can be made here: use 'auto', which chooses another one (${ringFailure(cause)})`;
  return new WalError('WAL_UNSUPPORTED', message, { operation: 'open' }, { cause });
}
