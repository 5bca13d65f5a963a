import { WalError } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import type { CoreState } from '../core/core-state.js';
import { manifestPath } from './manifest.js';

/**
 * Whether a log proves that there was a manifest: a manager writes one before it appends entries or truncates. A standalone
 * writer notes a checkpoint in the log itself before it truncates, so that an empty log shows which of the two emptied it.
 */
export function provesManifest(log: SegmentedWal, { managed, used }: Pick<CoreState, 'managed' | 'used'>): boolean {
  if (managed === 'entries') return true;
  return log.firstLsn > 1 && (managed === 'barriers' || (!used && log.checkpointLsn === 0));
}

/** The error when the manifest of a per-core log is missing. */
export function missingManifest(directory: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${manifestPath(directory)} is missing, and with it the last checkpoint: restore the whole directory; nothing but torn tails was cut off`,
    { path: manifestPath(directory), reason: 'missing-manifest' },
  );
}
