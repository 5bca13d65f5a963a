import { resolve } from 'node:path';
import type { StorageIo } from '@walstack/storage-io';
import type { CheckedSettings, Settings } from './options.js';
import { writesSideBySide } from './segments/segment-file.js';

/** Enough for a checkpoint, the header of a segment, and what the file system notes of their files. */
const RESERVE_BYTES = 64 * 1024;

/**
 * Applies the defaults that depend on the backend. For real files the path of the directory is made absolute, so that the
 * process may change its working directory.
 */
export function settingsFor(checked: CheckedSettings, io: StorageIo): Settings {
  const preallocate = checked.preallocate ?? (writesSideBySide(io) ? 'write' : 'none');
  return {
    ...checked,
    directory: io.capabilities.realFiles ? resolve(checked.directory) : checked.directory,
    preallocate,
    recycleSegments: checked.recycleSegments ?? (preallocate === 'none' ? 0 : 4),
    reserveBytes: checked.reserveBytes ?? (preallocate === 'none' ? undefined : RESERVE_BYTES),
  };
}
