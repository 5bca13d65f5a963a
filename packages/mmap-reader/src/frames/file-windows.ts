/** A stretch of a file in memory. */
export interface Window {
  /** Position in the file of its first byte. */
  readonly base: number;
  readonly bytes: Uint8Array;
  /** Bytes that it had when it was made: when `bytes` has none any more, its memory was moved away. */
  readonly length: number;
  /** Says whether the bytes were what stands in the file; missing where they cannot become anything else. */
  readonly guard?: MemoryGuard;
}

/** Memory that shows zeros where its file was cut, or its disk failed, meanwhile. */
export interface MemoryGuard {
  /**
   * To be called after a look at the memory. Costs no system call.
   *
   * @throws `WAL_CORRUPT` when some of it could not be read when it was touched
   */
  check(): void;
}

/** A file in memory, window by window. All calls block the thread while the disk reads. */
export interface FileWindows {
  readonly path: string;
  /** Bytes of the file when it was opened. */
  readonly size: number;
  readonly isClosed: boolean;
  /** Whether it is a segment with this id. */
  hasId(segmentId: Uint8Array): boolean;
  /** Whether a stretch fits into a window. */
  canHold(position: number, end: number): boolean;
  /** Whether memory for a frame of unusual length may be taken. `position` is where its data begins. */
  isWorth(position: number, length: number, checksum: number, seed: number): boolean;
  /**
   * A stretch that begins at or before `position` and has at least `needed` bytes from there on, as far as the file goes.
   * The one before is let go of, unless windows are kept.
   */
  window(position: number, needed: number): Window;
  /** The same window once more, as its memory was moved away. */
  renew(window: Window): Window;
  /** Makes sure that a range of a window can be read: the file still reaches to its end, and the disk gives it. */
  load(window: Window, offset: number, length: number): void;
  /** Makes sure, after a look at the first bytes of a window, that the file still reaches to their end. */
  check(window: Window, length: number): void;
  /** A window is not going to be read soon. */
  leave(window: Window): void;
  /** Empties every view of the file, and closes it. Idempotent. */
  close(): void;
}

/**
 * Bytes of a window, unless a frame is longer: V8 counts mapped memory as its own, and begins to collect garbage for
 * every 64 MiB that come to it.
 */
export const WINDOW_BYTES = 16 * 1024 * 1024;

/** Windows begin at multiples of this, which is a multiple of every size of a page and of a block. */
const GRAIN_BYTES = 65_536;

/** The longest window: offsets in it are unsigned 32-bit integers. */
const MOST_BYTES = 0xffff_0000;

/** Where a window that holds a stretch begins and ends. */
export function rangeOf(size: number, position: number, needed: number): { base: number; length: number } {
  const base = roundDown(Math.min(position, size));
  const end = Math.min(size, Math.max(base + WINDOW_BYTES, roundUp(position + needed)));
  return { base, length: end - base };
}

/** Whether a stretch is not too long for a window. */
export function fits(position: number, end: number): boolean {
  return roundUp(end) - roundDown(position) <= MOST_BYTES;
}

function roundDown(position: number): number {
  return position - (position % GRAIN_BYTES);
}

function roundUp(position: number): number {
  return Math.ceil(position / GRAIN_BYTES) * GRAIN_BYTES;
}
