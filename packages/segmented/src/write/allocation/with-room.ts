import { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { DiskReserve } from './disk-reserve.js';
import type { SegmentAllocator } from './segment-allocator.js';
import type { SegmentRemoval } from './segment-removal.js';

/** What has room that a full disk gets. */
export interface RoomSources {
  readonly allocator: SegmentAllocator;
  readonly removal: SegmentRemoval;
  readonly reserve: DiskReserve;
}

/**
 * Gives up what a full disk can get without losing anything that is prepared: the files that a truncation has left, and then some of
 * the reserve.
 *
 * @returns whether there was any: then there may be room
 */
export function* makeRoom({ removal, reserve }: Pick<RoomSources, 'removal' | 'reserve'>): IoRoutine<boolean> {
  return (yield* removal.makeRoom()) || (yield* reserve.release());
}

/**
 * Writes a file that the log needs to go on, and where there is no room for it, gives up what is kept for a full disk and tries again.
 *
 * @throws `WAL_NO_SPACE` when that makes no room either
 */
export function* withRoom(sources: RoomSources, write: () => IoRoutine<void>): IoRoutine<void> {
  const { allocator, removal, reserve } = sources;
  for (let isPreparedGone = false; ; ) {
    try {
      yield* write();
      return;
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      if (yield* removal.makeRoom()) continue;
      // What only makes the log faster goes before the reserve.
      const isGiven = !isPreparedGone && (yield* allocator.releasePrepared());
      isPreparedGone = true;
      if (!isGiven && !(yield* reserve.release())) throw error;
    }
  }
}
