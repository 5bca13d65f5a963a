import { FRAME_HEADER_BYTES, type Lsn, type SegmentHeader } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { type FileWindows, WINDOW_BYTES, type Window } from './file-windows.js';
import type { FrameScanner } from './frame-scanner.js';
import { Frames } from './frames.js';

/** Bytes that are looked at by one pass, unless a frame is longer; a multiple of every size of a block. */
const PIECE_BYTES = 1024 * 1024;

/** Frames that are found by one pass, at most. */
export const MOST_FRAMES = 16_384;

const NOWHERE = -1;

/** Reads the frames of one segment in order in windows of its file. It waits for nothing but the disk behind the memory. */
export class WindowScanner implements FrameScanner {
  readonly frames: Frames;
  readonly #file: FileWindows;
  /** Bytes of the file that may be read. */
  readonly #limit: number;
  #window: Window;
  /** Where in the window the next pass begins, and up to where it was made sure that the memory can be read. */
  #from: number;
  #loaded: number;

  /**
   * @param file - its opener's to close
   * @param from - position in the file of a frame or a block boundary
   * @param nextLsn - the LSN that is expected there
   * @param limit - bytes of the file that may be read
   */
  constructor(file: FileWindows, header: SegmentHeader, from: number, nextLsn: Lsn, limit: number) {
    this.#file = file;
    this.#limit = Math.min(limit, file.size);
    this.frames = new Frames(file.path, header, from, nextLsn, MOST_FRAMES);
    this.#window = file.window(from, 0);
    this.frames.adopt(this.#window.bytes, this.#window.base, from, this.#window.guard);
    this.#from = from - this.#window.base;
    this.#loaded = this.#from;
  }

  // biome-ignore lint/correctness/useYield: a routine like any other scanner's, which has nothing to wait for.
  *fill(): IoRoutine<boolean> {
    return this.fillSync();
  }

  /** What {@link fill} does. */
  fillSync(): boolean {
    const { frames } = this;
    while (!frames.stopped && !this.#file.isClosed) {
      this.restore();
      if (!this.#isReadable()) {
        // What cannot be a frame may be what a cut has left of one.
        this.#file.check(this.#window, this.#loaded);
        return false;
      }
      frames.scan(this.#from, this.#loaded);
      this.#from = frames.stop;
      if (!frames.isEmpty) return true;
    }
    return false;
  }

  /** Gets the memory again when it was moved away. @returns whether that was so */
  restore(): boolean {
    const window = this.#window;
    if (window.bytes.length === window.length || this.#file.isClosed) return false;
    this.#window = this.#file.renew(window);
    this.#file.load(this.#window, 0, Math.min(this.#loaded, this.#window.length));
    this.frames.replace(this.#window.bytes, this.#window.guard);
    return true;
  }

  close(): void {
    this.frames.close();
    this.#file.close();
  }

  /** Whether there is something to look at: what was readable before, or more of the file. */
  #isReadable(): boolean {
    if (this.frames.isFull) return true;
    const position = this.#window.base + this.#from;
    const needed = this.#needed(position);
    if (needed === NOWHERE) return false;
    const end = Math.min(this.#limit, pieceEnd(position + needed - 1));
    if (end > this.#window.base + this.#window.length && !this.#move(position, needed, end)) return false;
    const until = Math.min(end - this.#window.base, this.#window.length);
    this.#file.load(this.#window, this.#loaded, until - this.#loaded);
    this.#loaded = until;
    return true;
  }

  /** Bytes from `position` on that have to be readable; nowhere near the file's end when no frame can come of it. */
  #needed(position: number): number {
    const left = this.#window.base + this.#loaded - position;
    if (left < FRAME_HEADER_BYTES) return position + left < this.#limit ? FRAME_HEADER_BYTES : NOWHERE;
    // A frame begins here that was not readable to its end, or that is damaged.
    const bytes = FRAME_HEADER_BYTES + this.frames.uint32At(this.#from);
    return bytes > left && position + bytes <= this.#limit ? bytes : NOWHERE;
  }

  /** Goes on to another window. */
  #move(position: number, needed: number, end: number): boolean {
    const { frames } = this;
    if (needed > WINDOW_BYTES) {
      const data = position + FRAME_HEADER_BYTES;
      const checksum = frames.uint32At(this.#from + 4);
      if (!this.#file.canHold(position, end)) return false;
      if (!this.#file.isWorth(data, needed - FRAME_HEADER_BYTES, checksum, frames.seed)) return false;
    }
    // Asked for while the frame that it is told by is still in memory.
    const behind = frames.end;
    this.#file.leave(this.#window);
    const window = this.#file.window(position, end - position);
    frames.adopt(window.bytes, window.base, behind, window.guard);
    this.#window = window;
    this.#from = position - window.base;
    this.#loaded = this.#from;
    return true;
  }
}

function pieceEnd(position: number): number {
  return (Math.floor(position / PIECE_BYTES) + 1) * PIECE_BYTES;
}
