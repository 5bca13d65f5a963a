/* The folders of sources that defects are put into. */

export const CODEC = 'packages/codec/src';
export const PERCORE = 'packages/percore/src';
export const READER = 'packages/mmap-reader/src';
export const SEGMENTED = 'packages/segmented/src';
export const STORAGE_IO = 'packages/storage-io/src';
export const WAL = 'packages/wal/src';
