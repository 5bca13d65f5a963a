import { FRAME_HEADER_BYTES, type Lsn, type SegmentHeader } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import { type FileWindows, WINDOW_BYTES, type Window } from '../windows/file-windows.js';
import type { FrameScanner } from './frame-scanner.js';
import { Frames } from './frames.js';

/** Bytes that are examined by one scan, unless a frame is longer; a multiple of every block size. */
const PIECE_BYTES = 1024 * 1024;

/** The maximum number of frames found by one scan. */
export const FRAMES_MAX = 16_384;

const NOWHERE = -1;

/** Reads the frames of one segment in order in windows of its file. It blocks only for page faults of the memory. */
export class WindowScanner implements FrameScanner {
  readonly frames: Frames;
  readonly #file: FileWindows;
  /** Where reading ends: the number of bytes of the file that may be read. */
  readonly #limit: number;
  #window: Window;
  /** Offsets in the window: where the next scan begins, and up to where the memory is known to be readable. */
  #from: number;
  #loaded: number;

  /**
   * @param file - closed with the scanner
   * @param from - a position in the file: of a frame or a block boundary
   * @param nextLsn - the LSN that is expected there
   * @param limit - bytes of the file that may be read
   */
  constructor(file: FileWindows, header: SegmentHeader, from: number, nextLsn: Lsn, limit: number) {
    this.#file = file;
    this.#limit = Math.min(limit, file.size);
    this.frames = new Frames(file.path, header, from, nextLsn, FRAMES_MAX);
    this.#window = file.window(from, 0);
    this.frames.adopt(this.#window.bytes, this.#window.base, from, this.#window.guard);
    this.#from = from - this.#window.base;
    this.#loaded = this.#from;
  }

  *fill(): IoRoutine<boolean> {
    if (isTurnDue()) yield TURN;
    return this.fillSync();
  }

  /** {@link fill} as a plain call. */
  fillSync(): boolean {
    const { frames } = this;
    while (!frames.stopped && !this.#file.isClosed) {
      this.restore();
      if (!this.#isReadable()) {
        // What is no valid frame may be the rest of one that a cut has left.
        this.#file.check(this.#window, this.#loaded);
        return false;
      }
      frames.scan(this.#from, this.#loaded);
      this.#from = frames.stop;
      if (!frames.isEmpty) return true;
    }
    return false;
  }

  /** Restores the memory when its buffer was transferred away. @returns whether that was the case */
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

  /** Whether there is something to scan: what was readable before, or more of the file. */
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

  /** The number of bytes from `position` on that have to be readable; `NOWHERE` when no frame can start there. */
  #needed(position: number): number {
    const left = this.#window.base + this.#loaded - position;
    if (left < FRAME_HEADER_BYTES) return position + left < this.#limit ? FRAME_HEADER_BYTES : NOWHERE;
    // A frame starts here that was not readable to its end, or that is damaged.
    const bytes = FRAME_HEADER_BYTES + this.frames.uint32At(this.#from);
    return bytes > left && position + bytes <= this.#limit ? bytes : NOWHERE;
  }

  /** Moves to another window. */
  #move(position: number, needed: number, end: number): boolean {
    const { frames } = this;
    if (needed > WINDOW_BYTES) {
      const data = position + FRAME_HEADER_BYTES;
      const checksum = frames.uint32At(this.#from + 4);
      if (!this.#file.canHold(position, end)) return false;
      if (!this.#file.mayLoadFrame(data, needed - FRAME_HEADER_BYTES, checksum, frames.seed)) return false;
    }
    // Read while the frame from which it is computed is still in memory.
    const { end: framesEnd } = frames;
    this.#file.leave(this.#window);
    const window = this.#file.window(position, end - position);
    frames.adopt(window.bytes, window.base, framesEnd, window.guard);
    this.#window = window;
    this.#from = position - window.base;
    this.#loaded = this.#from;
    return true;
  }
}

function pieceEnd(position: number): number {
  return (Math.floor(position / PIECE_BYTES) + 1) * PIECE_BYTES;
}
