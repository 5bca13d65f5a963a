import {
  blockEnd,
  FRAME_HEADER_BYTES,
  isMark,
  type Lsn,
  MARK_FRAME_BYTES,
  MAXIMUM_BLOCK_BYTES,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordHeader,
  type RecordScope,
  readRecordHeader,
  readScope,
  recordProblem,
  SCOPE_BYTES,
  type SegmentHeader,
  scanFrames,
  WalError,
} from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { checksumOf } from './checksum.js';
import { corruption } from './corruption.js';
import { seedOf } from './segment.js';

/** Bytes that are read at a time. */
const CHUNK_BYTES = 256 * 1024;

/** Bytes of the buffer, unless a frame is larger. */
const BUFFER_BYTES = CHUNK_BYTES + MAXIMUM_BLOCK_BYTES;

/** Frames that are found at a time. */
const MOST_FRAMES = 4096;

/**
 * Reads the frames of one segment in order, through a buffer of bounded size: verifies length, checksum and LSN of each,
 * and skips padding. `next()` steps from frame to frame inside the buffer, `fill()` reads on:
 *
 * ```ts
 * do {
 *   while (scanner.next()) use(scanner.record);
 * } while (yield* scanner.fill());
 * ```
 *
 * It ends at the end of the range or where a valid frame should be and is not. Which of the two does not matter to it:
 * what stands behind `end` is for the caller to judge.
 */
export class SegmentScanner {
  /** The header of the frame that `next()` came to; the same object each time. */
  readonly record = new RecordHeader();
  readonly #io: StorageIo;
  readonly #file: IoFile;
  readonly #header: SegmentHeader;
  readonly #seed: number;
  /** Bytes of the file that may be read. */
  readonly #limit: number;
  readonly #offsets: Uint32Array;
  #buffer: Uint8Array;
  #view: DataView;
  /** Position in the file of the buffer's first byte. */
  #base: number;
  /** Bytes in the buffer. */
  #filled = 0;
  /** Frames found in the buffer, and the next one to step to. */
  #count = 0;
  #index = 0;
  #stopped = false;
  #at = 0;
  #end: number;
  #nextLsn: Lsn;

  /**
   * @param from - position in the file of a frame or a block boundary
   * @param nextLsn - the LSN that is expected there
   * @param limit - bytes of the file that may be read
   */
  constructor(io: StorageIo, file: IoFile, header: SegmentHeader, from: number, nextLsn: Lsn, limit: number) {
    this.#io = io;
    this.#file = file;
    this.#header = header;
    this.#seed = seedOf(header);
    this.#limit = limit;
    this.#base = from;
    this.#end = from;
    this.#nextLsn = nextLsn;
    this.#buffer = new Uint8Array(this.#capacity(from, 0));
    this.#view = new DataView(this.#buffer.buffer);
    this.#offsets = new Uint32Array(Math.min(MOST_FRAMES, Math.ceil(this.#buffer.length / MARK_FRAME_BYTES)) + 2);
  }

  /** Position in the file behind the last valid frame, marks included; where it began when there was none. */
  get end(): number {
    return this.#end;
  }

  /** The LSN that is expected next. */
  get nextLsn(): Lsn {
    return this.#nextLsn;
  }

  /** Position in the file of the frame that `next()` came to. */
  get position(): number {
    return this.#base + this.#at;
  }

  /**
   * Steps to the next frame in the buffer.
   *
   * @returns whether there is one; when not, `fill()` reads on
   * @throws `WAL_CORRUPT` for fields that cannot stand together behind a right checksum, `WAL_UNSUPPORTED_VERSION` for
   * unknown ones
   */
  next(): boolean {
    if (this.#stopped || this.#index === this.#count) return false;
    const at = this.#offsets[this.#index] as number;
    const record = this.record;
    if (this.#view.getUint32(at, true) < RECORD_HEADER_BYTES) return this.#stop();
    readRecordHeader(this.#view, at, record);
    if (record.lsn !== this.#nextLsn) return this.#stop();
    this.#at = at;
    this.#checkFields();
    this.#index++;
    this.#end = this.#base + at + FRAME_HEADER_BYTES + record.length;
    if (!isMark(record)) this.#nextLsn++;
    return true;
  }

  /**
   * Reads on.
   *
   * @returns whether there are further frames; when not, the end or a hole is at `end`
   */
  *fill(): IoRoutine<boolean> {
    const most = this.#offsets.length - 1;
    while (!this.#stopped) {
      const stop = this.#offsets[this.#count] as number;
      if (this.#count < most && !(yield* this.#more(stop))) break;
      const from = this.#count < most ? 0 : stop;
      this.#scan(from);
      if (this.#count > 0) return true;
    }
    this.#stopped = true;
    return false;
  }

  /** A view of the meta, good until the next `fill()`. */
  meta(): Uint8Array {
    return this.#part(this.#bodyOffset(), this.record.metaLength);
  }

  /** A view of the payload, good until the next `fill()`. */
  payload(): Uint8Array {
    const offset = this.#bodyOffset() + this.record.metaLength;
    return this.#part(offset, this.#at + FRAME_HEADER_BYTES + this.record.length - offset);
  }

  scope(): RecordScope | undefined {
    if ((this.record.flags & RecordFlag.scoped) === 0) return undefined;
    return readScope(this.#view, this.#at + FRAME_HEADER_BYTES + RECORD_HEADER_BYTES);
  }

  #part(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer.buffer, offset, length);
  }

  #bodyOffset(): number {
    const scoped = (this.record.flags & RecordFlag.scoped) !== 0;
    return this.#at + FRAME_HEADER_BYTES + RECORD_HEADER_BYTES + (scoped ? SCOPE_BYTES : 0);
  }

  #stop(): false {
    this.#stopped = true;
    return false;
  }

  #checkFields(): void {
    const problem = recordProblem(this.record);
    const stray = (this.record.flags & RecordFlag.encrypted) !== 0 && !this.#header.encrypted;
    // The LSN behind the last record must be one, too.
    const last = this.record.lsn === Number.MAX_SAFE_INTEGER && !isMark(this.record);
    if (problem === undefined && !stray && !last) return;
    const facts = { offset: this.position, lsn: this.record.lsn };
    if (problem === 'unknown-flags' || problem === 'unknown-codec') {
      throw new WalError(
        'WAL_UNSUPPORTED_VERSION',
        `${this.#file.path}: the record with LSN ${this.record.lsn} was written by a later version (${problem}): ` +
          'use a later walstack; nothing was changed',
        { ...facts, path: this.#file.path, reason: problem },
      );
    }
    const what = `the record with LSN ${this.record.lsn} at offset ${this.position} has fields that cannot be`;
    throw corruption(this.#file.path, 'impossible-fields', what, facts);
  }

  #scan(from: number): void {
    const { blockBytes } = this.#header;
    const position = this.#base + from;
    this.#count = scanFrames(this.#buffer, from, this.#filled, position, blockBytes, this.#seed, this.#offsets);
    this.#index = 0;
  }

  /** Has more of the file in the buffer than from `stop` to its end; `false` when no frame can come of it. */
  *#more(stop: number): IoRoutine<boolean> {
    const position = this.#base + stop;
    const left = this.#filled - stop;
    let needed = CHUNK_BYTES;
    if (left >= FRAME_HEADER_BYTES) {
      // A frame begins here that the buffer does not hold to its end, or that is damaged.
      const length = this.#view.getUint32(stop, true);
      const bytes = FRAME_HEADER_BYTES + length;
      if (bytes <= left || position + bytes > this.#limit) return false;
      if (bytes > CHUNK_BYTES) {
        // Memory is taken only for what is really a frame: a length is not believed before its checksum is.
        const crc = this.#view.getUint32(stop + 4, true);
        const data = position + FRAME_HEADER_BYTES;
        if ((yield* checksumOf(this.#io, this.#file, data, length, this.#seed)) !== crc) return false;
        needed = bytes;
      }
    }
    yield* this.#load(stop, needed);
    return this.#filled > left;
  }

  /** Bytes of memory for what is read from `base` on: no more than the file has, and no less than `needed`. */
  #capacity(base: number, needed: number): number {
    return Math.max(needed, Math.min(BUFFER_BYTES, this.#limit - base), 0);
  }

  /**
   * Drops what is before `stop`, and reads on to the end of the block that holds the last of `needed` bytes: a buffer
   * that ends with a block never cuts padding in two.
   */
  *#load(stop: number, needed: number): IoRoutine<void> {
    const base = this.#base + stop;
    const until = Math.min(this.#limit, blockEnd(base + needed, this.#header.blockBytes));
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
    if (base + this.#filled >= until) return;
    const into = this.#buffer.subarray(this.#filled, until - base);
    this.#filled += yield* ioSteps.read(this.#io, this.#file, into, base + this.#filled);
  }
}
