import type { IoRoutine } from '@walstack/storage-io';
import type { Frames } from './frames.js';

/**
 * Reads the frames of one segment in order: verifies length, checksum and LSN of each, and skips padding.
 * `frames.next()` steps from frame to frame among those that were found, `fill()` finds more:
 *
 * ```ts
 * while (yield* scanner.fill()) {
 *   while (scanner.frames.next()) use(scanner.frames);
 * }
 * ```
 *
 * It ends at the end of its range or where a valid frame should be and is not. It does not distinguish the two: the
 * caller examines the bytes after `frames.end`.
 */
export interface FrameScanner {
  readonly frames: Frames;
  /**
   * Finds more frames. Frames found before, and views of them, become invalid.
   *
   * @returns whether there are further frames; if not, the end or an unreadable frame is at `frames.end`
   */
  fill(): IoRoutine<boolean>;
  /** Restores memory whose buffer was transferred away. @returns whether that was the case */
  restore?(): boolean;
  /** Releases the memory. Idempotent. */
  close(): void;
}
