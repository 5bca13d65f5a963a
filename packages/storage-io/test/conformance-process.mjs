// Makes the backend that its address names, for the other process of the conformance suite.
import { createIoUringStorageIo, createSyncFsStorageIo, createThreadPoolStorageIo } from '@walstack/storage-io';

const made = {
  'sync-fs': createSyncFsStorageIo,
  'thread-pool': createThreadPoolStorageIo,
  'io-uring': createIoUringStorageIo,
};

export default made[new URL(import.meta.url).search.slice(1)];
