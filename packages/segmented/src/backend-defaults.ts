import { resolve } from 'node:path';
import type { StorageIo } from '@walstack/storage-io';
import type { CheckedConfig, Settings } from './options.js';
import { writesSideBySide } from './segments/segment-file.js';

/**
 * Applies the defaults that depend on the backend. For real files the path of the directory is made absolute, so that the
 * process may change its working directory.
 */
export function settingsFor(config: CheckedConfig, io: StorageIo): Settings {
  const preallocate = config.preallocate ?? (writesSideBySide(io) ? 'write' : 'none');
  return {
    ...config,
    directory: io.capabilities.realFiles ? resolve(config.directory) : config.directory,
    preallocate,
    recycleSegments: config.recycleSegments ?? (preallocate === 'none' ? 0 : 1),
  };
}
