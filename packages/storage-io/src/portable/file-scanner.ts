import { BLOCK_BYTES_MAX, blockEnd, FRAME_HEADER_BYTES, frameStart, scanFrames, UNSALTED_SEED } from '@walstack/codec';
import { type IoRoutine, TURN } from '../routines/routine.js';
import { isTurnDue } from '../routines/turns.js';
import type { IoFile } from '../storage-io.js';
import type { CountedIo } from './counted-io.js';
import { isPadding } from './padding.js';

/** Bytes that are read at a time. */
const CHUNK_BYTES = 256 * 1024;

/** The size of the buffer, unless a frame is larger. */
const BUFFER_BYTES = CHUNK_BYTES + BLOCK_BYTES_MAX;

/** The maximum number of frames found by one scan of the buffer. */
const FRAMES_MAX = 4096;

/** What a {@link FileScanner} reads. */
export interface ScanRange {
  readonly file: IoFile;
  readonly blockBytes: number;
  /** The start of the first frame to read. Default: the beginning of the file. */
  readonly from?: number;
  /** Where reading ends: the number of bytes of the file that may be read. */
  readonly limit: number;
  /** The maximum length of a frame, header included. */
  readonly frameBytesMax: number;
}

/**
 * Reads the frames of a file that contains nothing else, from its beginning or from a frame, through a buffer of
 * bounded size. `next()` steps from frame to frame inside the buffer, `fill()` reads more of the file:
 *
 * ```ts
 * do {
 *   while (scanner.next()) use(scanner.data());
 * } while (yield* scanner.fill());
 * ```
 *
 * It stops where the file ends, or where a frame should start and does not. Padding is skipped, up to the end of its
 * block and no further: a block that begins with zeros was never written. Zeros that are not marked as padding are
 * where a frame was never written, and bytes after them may be the middle of that frame.
 */
export class FileScanner {
  readonly range: ScanRange;
  readonly #steps: CountedIo;
  readonly #offsets: Uint32Array;
  #buffer: Uint8Array;
  #view: DataView;
  /** Position in the file of the buffer's first byte, and how many bytes are in it. */
  #base: number;
  #filled = 0;
  /** Frames found in the buffer, and the next one to step to. */
  #count = 0;
  #index = 0;
  #at = 0;
  #end: number;
  /** Where the next frame starts, when the padding before it is no longer in the buffer. */
  #start: number;
  #stop: number | undefined;
  #lengthAtStop = 0;

  constructor(steps: CountedIo, range: ScanRange) {
    this.#steps = steps;
    this.range = range;
    this.#base = range.from ?? 0;
    this.#end = this.#base;
    this.#start = this.#base;
    this.#buffer = new Uint8Array(this.#capacity(this.#base, 0));
    this.#view = new DataView(this.#buffer.buffer);
    const framesMax = Math.ceil(this.#buffer.length / (FRAME_HEADER_BYTES + 1));
    this.#offsets = new Uint32Array(Math.min(FRAMES_MAX, framesMax) + 2);
  }

  /** Position in the file after the last frame. */
  get end(): number {
    return this.#end;
  }

  /** Position in the file where a frame should start and does not; the end of the range when there are only frames. */
  get stop(): number {
    return this.#stop ?? this.range.limit;
  }

  /** The frame length that is read at `stop`; 0 when it is incomplete. */
  get lengthAtStop(): number {
    return this.#lengthAtStop;
  }

  /** Position in the file of the current frame. */
  get position(): number {
    return this.#base + this.#at;
  }

  /** Position in the file of the first frame that the last `fill()` found. */
  get foundAt(): number {
    return this.#base + (this.#offsets[0] as number);
  }

  /**
   * The bytes of the frames stepped through since the last `fill()`, with what lies between them: as they were when
   * their checksums were verified, whatever the file contains by now. A view, valid until the next `fill()`.
   */
  foundBytes(): Uint8Array {
    return this.#buffer.subarray(this.#offsets[0] as number, this.#end - this.#base);
  }

  /** The data of the current frame: a view, valid until the next `fill()`. */
  data(): Uint8Array {
    const length = this.#view.getUint32(this.#at, true);
    return this.#buffer.subarray(this.#at + FRAME_HEADER_BYTES, this.#at + FRAME_HEADER_BYTES + length);
  }

  /** Steps to the next frame in the buffer, and returns whether there is one; if not, `fill()` reads more. */
  next(): boolean {
    if (this.#stop !== undefined || this.#index === this.#count) return false;
    const at = this.#offsets[this.#index] as number;
    const bytes = FRAME_HEADER_BYTES + this.#view.getUint32(at, true);
    if (!this.#leadsTo(at) || bytes > this.range.frameBytesMax) return this.#stopAt(at);
    this.#index++;
    this.#at = at;
    this.#end = this.#base + at + bytes;
    return true;
  }

  /** Reads more of the file, and returns whether there are further frames. */
  *fill(): IoRoutine<boolean> {
    const framesMax = this.#offsets.length - 1;
    while (this.#stop === undefined) {
      if (isTurnDue()) yield TURN;
      const stop = this.#offsets[this.#count] as number;
      const full = this.#count === framesMax;
      if (!full && !(yield* this.#more(stop))) return this.#stopAt(stop);
      this.#scan(full ? stop : 0);
      if (this.#count > 0) return true;
    }
    return false;
  }

  /** Finds the frames in the buffer, and the start of the first one that is not whole in it, skipping padding. */
  #scan(from: number): void {
    const { blockBytes } = this.range;
    this.#count = 0;
    this.#index = 0;
    for (let at = from; ; ) {
      const offsets = this.#offsets.subarray(this.#count);
      this.#count += scanFrames(this.#buffer, at, this.#filled, this.#base + at, blockBytes, UNSALTED_SEED, offsets);
      const stop = this.#offsets[this.#count] as number;
      if (this.#count === this.#offsets.length - 1 || !this.#isPadding(stop)) return;
      at = Math.min(blockEnd(this.#base + stop, blockBytes) - this.#base, this.#filled);
      // Padding does not begin a block: nothing there is skipped.
      if (at === stop) return;
      this.#offsets[this.#count] = at;
      if (at === this.#filled) return;
    }
  }

  /** Whether padding begins at an offset in the buffer. */
  #isPadding(at: number): boolean {
    return at + 4 <= this.#filled && isPadding(this.#view, at);
  }

  /** Whether the next frame has to start at an offset in the buffer. */
  #leadsTo(at: number): boolean {
    const position = this.#base + at;
    return position === this.#end || position === this.#nextStart();
  }

  /** Where the next frame has to start: after the last one, or after the padding that follows it. */
  #nextStart(): number {
    if (this.#start > this.#end) return this.#start;
    const { blockBytes } = this.range;
    const start = frameStart(this.#end, blockBytes);
    return start === this.#end && this.#isPadding(start - this.#base) ? blockEnd(start, blockBytes) : start;
  }

  #stopAt(at: number): false {
    const start = this.#nextStart();
    this.#stop = Math.min(start, this.range.limit);
    if (this.#base + at === start && at + 4 <= this.#filled) this.#lengthAtStop = this.#view.getUint32(at, true);
    return false;
  }

  /** Reads more of the file into the buffer, which then starts at `stop`; `false` when no frame can start there. */
  *#more(stop: number): IoRoutine<boolean> {
    const { limit, frameBytesMax } = this.range;
    const position = this.#base + stop;
    const left = this.#filled - stop;
    if (!this.#leadsTo(stop) || position === limit) return false;
    // The padding before it is no longer in the buffer after the next read.
    this.#start = position;
    let needed = CHUNK_BYTES;
    if (left >= FRAME_HEADER_BYTES) {
      // A frame starts here that is not whole in the buffer, or that is damaged.
      const bytes = FRAME_HEADER_BYTES + this.#view.getUint32(stop, true);
      if (bytes <= left || bytes > frameBytesMax || position + bytes > limit) return false;
      needed = Math.max(needed, bytes);
    }
    yield* this.#load(stop, needed);
    return this.#filled > left;
  }

  /** The buffer size for reading from `base`: no more than the file has, and at least `needed`. */
  #capacity(base: number, needed: number): number {
    return Math.max(needed, Math.min(BUFFER_BYTES, this.range.limit - base));
  }

  /**
   * Drops what is before `stop`, and reads to the end of the block with the last of `needed` bytes: padding ends with
   * its block, so that the buffer never ends inside it.
   */
  *#load(stop: number, needed: number): IoRoutine<void> {
    const { file, limit, blockBytes } = this.range;
    const base = this.#base + stop;
    const until = Math.min(limit, blockEnd(base + needed, blockBytes));
    const kept = this.#buffer.subarray(stop, this.#filled);
    const capacity = this.#capacity(base, until - base);
    if (capacity <= this.#buffer.length && this.#buffer.length <= BUFFER_BYTES) {
      this.#buffer.copyWithin(0, stop, this.#filled);
    } else {
      this.#buffer = new Uint8Array(capacity);
      this.#buffer.set(kept);
      this.#view = new DataView(this.#buffer.buffer);
    }
    this.#base = base;
    this.#filled = kept.length;
    this.#count = 0;
    this.#index = 0;
    const into = this.#buffer.subarray(this.#filled, until - base);
    if (into.length > 0) this.#filled += yield* this.#steps.read(file, into, base + this.#filled);
  }
}
