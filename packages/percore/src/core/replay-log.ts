import type { SegmentedWal } from '@walstack/segmented';
import { type CoreState, replayState } from './core-state.js';
import { type DualModeRoutine, wait, waitForIo } from './dual-mode-routine.js';
import { EntryReader } from './entries/entry-reader.js';

const VIEWS = { copy: false } as const;

/** Reads the entries of an open log after a state, and returns the state after them. @param toEpoch - the last epoch read */
export function* replayLog(
  log: SegmentedWal,
  before: CoreState,
  toEpoch = Number.POSITIVE_INFINITY,
): DualModeRoutine<CoreState> {
  const reader = yield* wait(
    () => log.openReaderSync(before.lsn + 1, VIEWS),
    () => log.openReader(before.lsn + 1, VIEWS),
  );
  const entries = new EntryReader(reader, log.coreId as number, log.directory, toEpoch);
  return yield* waitForIo(log.io, () => replayState(entries, before));
}
