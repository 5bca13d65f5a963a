import type { SegmentedWal } from '@walstack/segmented';
import type { IoRoutine } from '@walstack/storage-io';
import type { RecoveryWatch } from '../recovery/recovery-watch.js';
import { type CoreState, replayState } from './core-state.js';
import { type DualModeRoutine, wait, waitForIo } from './dual-mode-routine.js';
import { EntryReader } from './entries/entry-reader.js';

const VIEWS = { copy: false } as const;

/**
 * Reads the entries of an open log after a state, and returns the state after them.
 *
 * @param toEpoch - the last epoch read
 * @param watch - may end it, and receives its progress
 */
export function* replayLog(
  log: SegmentedWal,
  before: CoreState,
  toEpoch = Number.POSITIVE_INFINITY,
  watch?: RecoveryWatch,
): DualModeRoutine<CoreState> {
  const reader = yield* wait(
    () => log.openReaderSync(before.lsn + 1, VIEWS),
    () => log.openReader(before.lsn + 1, VIEWS),
  );
  const entries = new EntryReader(reader, log.coreId as number, log.directory, toEpoch);
  const replay = (): IoRoutine<CoreState> => replayState(entries, before);
  return yield* waitForIo(log.io, () => (watch === undefined ? replay() : watch.replaying(replay(), entries)));
}
