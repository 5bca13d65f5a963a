/** A range of a file in memory. */
export interface Window {
  /** Position in the file of its first byte. */
  readonly base: number;
  readonly bytes: Uint8Array;
  /** The length of `bytes` when the window was made: if `bytes` is empty now, its buffer was transferred away. */
  readonly length: number;
  /** Checks that the bytes read were those of the file; missing where they cannot change. */
  readonly guard?: MemoryGuard;
}

/** Checks memory that reads as zeros where its file was truncated, or its disk failed, meanwhile. */
export interface MemoryGuard {
  /**
   * To be called after reading the memory. Costs no system call.
   *
   * @throws `WAL_CORRUPT` when some of it could not be read when it was touched
   */
  check(): void;
}

/** A file in memory, window by window. All calls block the thread while the disk reads. */
export interface FileWindows {
  readonly path: string;
  /** The size of the file when it was opened. */
  readonly size: number;
  readonly isClosed: boolean;
  /** Whether the file is a segment with this id. */
  hasId(segmentId: Uint8Array): boolean;
  /** Whether a range fits into a window. */
  canHold(position: number, end: number): boolean;
  /** Whether memory for a frame of unusual length may be allocated. `position` is where its data begins. */
  mayLoadFrame(position: number, length: number, checksum: number, seed: number): boolean;
  /**
   * A window that begins at or before `position` and has at least `needed` bytes from there on, up to the end of the
   * file. The previous window is released, unless windows are kept.
   */
  window(position: number, needed: number): Window;
  /** The same window once more, after its buffer was transferred away. */
  renew(window: Window): Window;
  /** Makes sure that a range of a window can be read: the file still extends to its end, and the disk can read it. */
  load(window: Window, offset: number, length: number): void;
  /** Makes sure, after reading the first bytes of a window, that the file still extends to their end. */
  check(window: Window, length: number): void;
  /** Advises that a window will not be read soon. */
  leave(window: Window): void;
  /** Empties every view of the file, and closes it. Idempotent. */
  close(): void;
}

/**
 * The size of a window, unless a frame is longer: V8 counts mapped memory as its own, and starts a garbage collection
 * for every 64 MiB that are added.
 */
export const WINDOW_BYTES = 16 * 1024 * 1024;

/** Windows begin at multiples of this, which is a multiple of every page size and block size. */
const ALIGNMENT_BYTES = 65_536;

/** The longest window: offsets in it are unsigned 32-bit integers. */
const WINDOW_BYTES_MAX = 0xffff_0000;

/** The range of a window that contains `needed` bytes from `position` on. */
export function rangeOf(size: number, position: number, needed: number): { base: number; length: number } {
  const base = roundDown(Math.min(position, size));
  const end = Math.min(size, Math.max(base + WINDOW_BYTES, roundUp(position + needed)));
  return { base, length: end - base };
}

/** Whether a range is not too long for a window. */
export function fits(position: number, end: number): boolean {
  return roundUp(end) - roundDown(position) <= WINDOW_BYTES_MAX;
}

function roundDown(position: number): number {
  return position - (position % ALIGNMENT_BYTES);
}

function roundUp(position: number): number {
  return Math.ceil(position / ALIGNMENT_BYTES) * ALIGNMENT_BYTES;
}
