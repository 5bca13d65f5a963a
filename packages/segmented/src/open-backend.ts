import { resolve } from 'node:path';
import { invalidType } from '@walstack/codec/internal';
import { openStorageIo, type StorageIo } from '@walstack/storage-io';
import type { CheckedConfig, SegmentedWalConfig, Settings } from './options.js';
import { writesSideBySide } from './segments/segment-file.js';

/** The backend of a configuration, and whether the log has opened it and has to dispose of it. */
export function openBackend(
  { io = 'auto' }: SegmentedWalConfig,
  needs: 'async' | 'wait',
): { io: StorageIo; owned: boolean } {
  if (typeof io === 'string') return { io: openStorageIo(io, { needs }), owned: true };
  if (typeof io?.submitWrite !== 'function') throw invalidType('io', 'a StorageIo or the name of a backend', io);
  return { io, owned: false };
}

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
