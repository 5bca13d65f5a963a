import { checkPath, invalidType, optionNames } from '@walstack/codec/internal';
import type { LongCallOptions } from '@walstack/mmap-reader';
import { checkLongCall } from '@walstack/mmap-reader/internal';
import type { SegmentedWalConfig } from '@walstack/segmented';
import { checkKnown, checkRecoveryMode, type LogOptions, logConfigOf, type PerCoreRecoveryMode } from '../options.js';
import { RecoveryWatch } from '../recovery/recovery-watch.js';
import { checkCoreId, coreDirectory } from './core-directory.js';
import { SharedEpochs } from './epochs/epochs.js';

/** How a `CoreWalWriter` is opened: the options of its segments, and the epochs that it shares with other writers. */
export interface CoreWalWriterOptions
  extends LogOptions,
    Pick<SegmentedWalConfig, 'create' | 'io' | 'salvageLsn'>,
    LongCallOptions {
  /** The epochs that all writers of a per-core log share. Default: epochs of its own, advanced by setting `epoch`. */
  readonly epochs?: SharedEpochs;
  /**
   * What to do when acknowledged entries are lost: `'strict'` rejects the log, `'salvage'` continues with what remains and
   * reports the loss in `recovery`. The log of a core that a manager has used is rejected in both modes: salvage the whole
   * per-core log instead, since the logs of other cores may have to drop entries, too. Default `'strict'`.
   */
  readonly recoveryMode?: PerCoreRecoveryMode;
}

const OPTIONS = optionNames<Omit<CoreWalWriterOptions, keyof LogOptions>>({
  create: true,
  io: true,
  epochs: true,
  recoveryMode: true,
  salvageLsn: true,
  signal: true,
  onProgress: true,
});

/**
 * Checks how a writer is opened. The log checks its own options.
 *
 * @returns the configuration of the core's log, and the options of the writer itself
 * @throws `TypeError`, `RangeError` with Node's codes
 */
export function checkWriterOptions(coreId: number, directory: string | URL, options: CoreWalWriterOptions) {
  checkCoreId('coreId', coreId);
  const path = checkPath('directory', directory);
  const { epochs, signal, onProgress, ...rest } = checkKnown('options', options, OPTIONS);
  checkRecoveryMode(rest.recoveryMode ?? 'strict');
  if (epochs !== undefined && !(epochs instanceof SharedEpochs)) throw invalidType('epochs', 'SharedEpochs', epochs);
  const config: SegmentedWalConfig = { ...logConfigOf(rest), directory: coreDirectory(path, coreId), coreId };
  const own = { ...(epochs === undefined ? {} : { epochs }), ...(rest.now === undefined ? {} : { now: rest.now }) };
  return { config, own, directory: path, watch: new RecoveryWatch(checkLongCall(signal, onProgress)) };
}
