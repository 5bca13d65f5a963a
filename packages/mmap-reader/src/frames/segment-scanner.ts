import {
  BLOCK_BYTES_MAX,
  blockEnd,
  FRAME_HEADER_BYTES,
  type Lsn,
  MARK_FRAME_BYTES,
  type SegmentHeader,
} from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import { untransferable } from '../windows/untransferable.js';
import { checksumOf } from './checksum.js';
import type { FrameScanner } from './frame-scanner.js';
import { Frames } from './frames.js';

/** Bytes that are read at a time. */
const CHUNK_BYTES = 256 * 1024;

/** The size of the buffer, unless a frame is larger. */
const BUFFER_BYTES = CHUNK_BYTES + BLOCK_BYTES_MAX;

/** The maximum number of frames found by one scan. */
const FRAMES_MAX = 4096;

/** Reads the frames of one segment in order by plain reads, through a buffer of bounded size. */
export class SegmentScanner implements FrameScanner {
  readonly frames: Frames;
  readonly #io: StorageIo;
  readonly #file: IoFile;
  /** Where reading ends: the number of bytes of the file that may be read. */
  #limit: number;
  /** Whether nothing is looked for behind a block without frames, instead of in the whole file. */
  #endsAtZeros = false;
  #buffer: Uint8Array;
  /** Bytes in the buffer. */
  #filled = 0;

  /**
   * @param from - a position in the file: of a frame or a block boundary
   * @param nextLsn - the LSN that is expected there
   * @param limit - bytes of the file that may be read
   */
  constructor(io: StorageIo, file: IoFile, header: SegmentHeader, from: number, nextLsn: Lsn, limit: number) {
    this.#io = io;
    this.#file = file;
    this.#limit = limit;
    this.#buffer = untransferable(this.#capacity(from, 0));
    const framesMax = Math.min(FRAMES_MAX, Math.ceil(this.#buffer.length / MARK_FRAME_BYTES) + 1);
    this.frames = new Frames(file.path, header, from, nextLsn, framesMax);
    this.frames.adopt(this.#buffer, from);
  }

  /**
   * Continues where no frame was, or one that could not be there: there may be a valid one now.
   *
   * @param limit - bytes of the file that may be read now
   */
  resume(limit: number): void {
    const { frames } = this;
    const base = frames.end;
    this.#limit = limit;
    // What was read after the last frame may have changed.
    this.#filled = 0;
    const capacity = this.#capacity(base, 0);
    if (capacity > this.#buffer.length) this.#buffer = untransferable(capacity);
    frames.adopt(this.#buffer, base);
    frames.resume();
  }

  /** From now on nothing is looked for behind a block without frames. */
  endAtZeros(): void {
    this.#endsAtZeros = true;
  }

  *fill(): IoRoutine<boolean> {
    const { frames } = this;
    while (!frames.stopped) {
      if (isTurnDue()) yield TURN;
      if (!frames.isFull && !(yield* this.#more(frames.stop))) return false;
      frames.scan(frames.isFull ? frames.stop : 0, this.#filled);
      if (!frames.isEmpty) return true;
      if (this.#endsAtZeros && this.#isPastPadding()) return false;
    }
    return false;
  }

  /**
   * Whether the block is empty in which the next frame would begin: padding fills only the rest of a block. Blocks that were
   * prepared for later frames follow, perhaps as many as a segment has.
   */
  #isPastPadding(): boolean {
    const { frames } = this;
    const { blockBytes } = frames.header;
    return frames.base + frames.stop >= blockEnd(frames.end, blockBytes) + blockBytes;
  }

  /** Releases the buffer. The opener of the file closes it. */
  close(): void {
    this.frames.close();
  }

  /** Reads more of the file into the buffer, which then starts at `stop`; `false` when no frame can start there. */
  *#more(stop: number): IoRoutine<boolean> {
    const { frames } = this;
    const position = frames.base + stop;
    const left = this.#filled - stop;
    let needed = CHUNK_BYTES;
    if (left >= FRAME_HEADER_BYTES) {
      // A frame starts here that is not whole in the buffer, or that is damaged.
      const length = frames.uint32At(stop);
      const bytes = FRAME_HEADER_BYTES + length;
      if (bytes <= left || position + bytes > this.#limit) return false;
      if (bytes > CHUNK_BYTES) {
        // Memory is allocated only for a valid frame: a length is not trusted before its checksum is verified.
        const crc = frames.uint32At(stop + 4);
        const data = position + FRAME_HEADER_BYTES;
        if ((yield* checksumOf(this.#io, this.#file, data, length, frames.seed)) !== crc) return false;
        needed = bytes;
      }
    }
    yield* this.#load(stop, needed);
    return this.#filled > left;
  }

  /** The buffer size for reading from `base`: no more than the file has, and at least `needed`. */
  #capacity(base: number, needed: number): number {
    return Math.max(needed, Math.min(BUFFER_BYTES, this.#limit - base), 0);
  }

  /**
   * Drops what is before `stop`, and reads to the end of the block with the last of `needed` bytes: padding ends with
   * its block, so that the buffer never ends inside it.
   */
  *#load(stop: number, needed: number): IoRoutine<void> {
    const { frames } = this;
    const base = frames.base + stop;
    const until = Math.min(this.#limit, blockEnd(base + needed, frames.header.blockBytes));
    const kept = this.#buffer.subarray(stop, this.#filled);
    const capacity = this.#capacity(base, until - base);
    // Read before the bytes of the frame from which it is computed are overwritten.
    const { end } = frames;
    if (capacity <= this.#buffer.length && this.#buffer.length <= BUFFER_BYTES) {
      this.#buffer.copyWithin(0, stop, this.#filled);
    } else {
      this.#buffer = untransferable(capacity);
      this.#buffer.set(kept);
    }
    frames.adopt(this.#buffer, base, end);
    this.#filled = kept.length;
    if (base + this.#filled >= until) return;
    const into = this.#buffer.subarray(this.#filled, until - base);
    this.#filled += yield* ioSteps.read(this.#io, this.#file, into, base + this.#filled);
  }
}
