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
 * It ends at the end of its range or where a valid frame should be and is not. Which of the two does not matter to it:
 * what stands behind `frames.end` is for the caller to judge.
 */
export interface FrameScanner {
  readonly frames: Frames;
  /**
   * Finds more frames. What was found before, and views of it, are gone.
   *
   * @returns whether there are further frames; when not, the end or a hole is at `frames.end`
   */
  fill(): IoRoutine<boolean>;
  /** Gets memory again that was moved away with a view of it. @returns whether that was so */
  restore?(): boolean;
  /** Releases the memory. Idempotent. */
  close(): void;
}
