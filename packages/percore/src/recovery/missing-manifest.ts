import { WalError } from '@walstack/codec';
import type { SegmentedWal } from '@walstack/segmented';
import type { CoreState } from '../core/core-state.js';
import { manifestPath } from './manifest.js';

/**
 * Whether a log shows that there was a manifest: a manager writes one before it appends entries, or truncates. A writer
 * alone notes in the log itself that it truncates it, so that an empty log tells which of the two has emptied it.
 */
export function provesManifest(log: SegmentedWal, { managed, joined }: Pick<CoreState, 'managed' | 'joined'>): boolean {
  if (managed === 'entries') return true;
  return log.firstLsn > 1 && (managed === 'barriers' || (!joined && log.checkpointLsn === 0));
}

/** What is thrown where the manifest of a per-core log is gone. */
export function missingManifest(directory: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `${manifestPath(directory)} is missing, and with it the last checkpoint: restore the whole directory; nothing was changed`,
    { path: manifestPath(directory), reason: 'missing-manifest' },
  );
}
