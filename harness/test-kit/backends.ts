import { join } from 'node:path';
import {
  createIoUringStorageIo,
  createMemoryStorageIo,
  createSyncFsStorageIo,
  createThreadPoolStorageIo,
  ringSupport,
  type StorageIo,
} from '@walstack/storage-io';
import { temporaryDirectory } from './temporary-directory.js';

/** Every backend that logs are written with, by its name; io-uring where the system has it. */
export const BACKENDS: readonly (readonly [name: string, create: () => StorageIo])[] = [
  ['sync-fs', createSyncFsStorageIo],
  ['thread-pool', createThreadPoolStorageIo],
  ['memory', createMemoryStorageIo],
  ...(ringSupport().available ? ([['io-uring', createIoUringStorageIo]] as const) : []),
];

/** A path for a log on a backend, at which there is nothing yet. */
export const directoryFor = (io: StorageIo): string =>
  io.name === 'memory' ? '/logs/log' : join(temporaryDirectory(), 'log');
