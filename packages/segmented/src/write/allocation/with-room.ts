import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { SegmentWriter } from '../segment-writer.js';

/**
 * Writes a file that the log needs to go on, and where there is no room for it, gives up what is kept for a full disk and tries again.
 *
 * @throws `WAL_NO_SPACE` when that makes no room either
 */
export function* withRoom(writer: SegmentWriter, write: () => IoRoutine<void>): IoRoutine<void> {
  const { allocator, reserve } = writer;
  for (let isPreparedGone = false; ; ) {
    try {
      yield* write();
      return;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      // What only makes the log faster goes first.
      const isGiven = !isPreparedGone && (yield* allocator.releasePrepared());
      isPreparedGone = true;
      if (!isGiven && !(yield* reserve.release())) throw error;
    }
  }
}
