import { join } from 'node:path';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';

/** Every backend. */
export const BACKENDS: readonly (readonly [string, () => StorageIo])[] = [
  ['thread-pool', createThreadPoolStorageIo],
  ['sync-fs', createSyncFsStorageIo],
  ['memory', createMemoryStorageIo],
  ...(ringSupport().available ? ([['io-uring', createIoUringStorageIo]] as const) : []),
];

/** A path for a log, at which there is nothing yet. */
export const directoryFor = (io: StorageIo): string =>
  io.capabilities.realFiles ? join(temporaryDirectory(), 'log') : '/logs/log';

/** Whether a backend writes groups concurrently: then each is a durable write that ends with its block. */
export const groupsGoSideBySide = ({ capabilities }: StorageIo): boolean =>
  capabilities.overlappedWrites && capabilities.durableWrites && !capabilities.completesInline;
