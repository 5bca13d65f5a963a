import { join } from 'node:path';
import type { CoreEntry } from '@walstack/percore';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';

/** Every backend, each with a directory of its own. */
export const BACKENDS: readonly (readonly [string, () => StorageIo])[] = [
  ['sync-fs', createSyncFsStorageIo],
  ['thread-pool', createThreadPoolStorageIo],
  ['memory', createMemoryStorageIo],
  ...(ringSupport().available ? ([['io-uring', createIoUringStorageIo]] as const) : []),
];

/** A directory for a per-core log on a backend. */
export function directoryFor(io: StorageIo): string {
  return io.name === 'memory' ? '/logs/percore' : join(temporaryDirectory(), 'percore');
}

/** A clock that counts milliseconds, and can be set back or stopped. */
export function manualClock(): { now: () => number; time: number } {
  const clock = { time: 1_700_000_000_000, now: () => clock.time };
  return clock;
}

/** An entry without its place, for comparing. */
export function contentOf(entry: CoreEntry): unknown {
  switch (entry.operation) {
    case 'put':
      return ['put', text(entry.key), text(entry.value)];
    case 'delete':
      return ['delete', text(entry.key)];
    case 'checkpoint':
      return ['checkpoint', entry.checkpointId];
    case 'epochBarrier':
      return entry.last ? ['epochBarrier', entry.epoch, 'last'] : ['epochBarrier', entry.epoch];
    case 'commit':
      return ['commit', Object.fromEntries(entry.offsets), entry.watermark];
  }
}

/** What the application appended, without barriers. */
export const contentsOf = (entries: Iterable<CoreEntry>): unknown[] =>
  [...entries].filter(({ operation }) => operation !== 'epochBarrier').map(contentOf);

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();
