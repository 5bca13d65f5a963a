import {
  ENCRYPTION_TAG_BYTES,
  FRAME_HEADER_BYTES,
  type Lsn,
  type PayloadDecoder,
  provenDurable,
  RECORD_HEADER_BYTES,
  type RecordContent,
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
import { corruption } from '../chain/corruption.js';
import { seedOf } from '../chain/segment.js';
import type { MemoryGuard } from './file-windows.js';
import type { FrameSummary } from './frame-summary.js';

/** What is shown when there is no memory any more: a frame of zeros. */
const NOTHING = new Uint8Array(64);

const NO_BYTES = new Uint8Array(0);

/** Where in a frame its record's header begins, and where what follows the header does. */
const HEADER = FRAME_HEADER_BYTES;
const BODY = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES;

/** Flags in the word of meta length, flags and codec. */
const MARK = RecordFlag.mark << 16;
const ENCRYPTED = RecordFlag.encrypted << 16;

const WORD = 0x1_0000_0000;

/**
 * The frames that a pass has found in a piece of a segment in memory, and the steps from one to the next. The pass
 * verifies lengths and checksums of many frames at once. That LSNs count on and that the fields of a frame can stand
 * together is verified before it is stepped to: for a *run* of records without flags, of which there are many, at once.
 * So a step within a run is no more than counting, and of a frame only what is asked for is read. Nothing is allocated.
 *
 * It stops for good at a frame with another LSN than the expected one: no frame of this log can stand there.
 */
export class Frames {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly #seed: number;
  /** Where in the memory each frame is that was found, and where the pass stopped. */
  readonly #offsets: Uint32Array<ArrayBuffer>;
  readonly #record = new RecordHeader();
  #bytes: Uint8Array = NOTHING;
  #view: DataView = new DataView(NOTHING.buffer);
  /** Of `#bytes`: asking an array for them costs as much as making a view. */
  #buffer: ArrayBufferLike = NOTHING.buffer;
  #byteOffset = 0;
  /** Of a mapping. */
  #guard: MemoryGuard | undefined;
  /** Position in the file of the memory's first byte. */
  #base: number;
  /** Frames found, and the next one to step to. */
  #count = 0;
  #index = 0;
  /** Where in the memory the present frame is. */
  #at = 0;
  /** Up to `#runEnd` frames may be stepped to; the one at `#runStart` is to have `#runLsn`, and each is a record. */
  #runStart = 0;
  #runEnd = 0;
  #runLsn: Lsn;
  /** Whether the frame before the run is a mark. */
  #isBehindMark = false;
  /** Where the frames before this piece end. */
  #endBefore: number;
  /** The frame that `#record` is of. */
  #recordIndex = -1;
  #stopped = false;

  /**
   * @param path - of the file, for errors
   * @param from - position in the file of a frame or a block boundary
   * @param nextLsn - the LSN that is expected there
   * @param most - frames that are found by one pass
   */
  constructor(path: string, header: SegmentHeader, from: number, nextLsn: Lsn, most: number) {
    this.path = path;
    this.header = header;
    this.#seed = seedOf(header);
    this.#offsets = new Uint32Array(most + 1);
    this.#base = from;
    this.#endBefore = from;
    this.#runLsn = nextLsn;
  }

  /** CRC32C of the segment's id. */
  get seed(): number {
    return this.#seed;
  }

  /** Whether a frame was met that cannot stand there. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Whether the pass found as many frames as it can: there may be more in the memory. */
  get isFull(): boolean {
    return this.#count === this.#offsets.length - 1;
  }

  /** Whether no frame was found. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether frames were found that were not stepped to yet. */
  get hasMore(): boolean {
    return this.#index < this.#count && !this.#stopped;
  }

  /** Where in the memory the pass stopped. */
  get stop(): number {
    return this.#offsets[this.#count] as number;
  }

  /** Position in the file of the memory's first byte. */
  get base(): number {
    return this.#base;
  }

  /** Position in the file behind the last frame that was stepped to, marks included; where it began when there was none. */
  get end(): number {
    if (this.#index === 0) return this.#endBefore;
    const at = this.#at;
    return this.#base + at + FRAME_HEADER_BYTES + this.#view.getUint32(at, true);
  }

  /** The LSN that is expected next. */
  get nextLsn(): Lsn {
    return this.#runLsn + (this.#index - this.#runStart);
  }

  /** Position in the file of the present frame. */
  get position(): number {
    return this.#base + this.#at;
  }

  /** LSN of the present frame; of a mark, the next one that is given out. */
  get lsn(): Lsn {
    return this.isMark ? this.nextLsn : this.nextLsn - 1;
  }

  get type(): number {
    return this.#view.getUint32(this.#at + HEADER + 8, true);
  }

  get flags(): number {
    return this.#view.getUint8(this.#at + HEADER + 18);
  }

  /** Whether the present frame is a mark, and no record. */
  get isMark(): boolean {
    return this.#isBehindMark && this.#index === this.#runStart;
  }

  get metaLength(): number {
    return this.#view.getUint16(this.#at + HEADER + 16, true);
  }

  /** Bytes of the payload as it is stored: of a compressed one, compressed. */
  get payloadLength(): number {
    const at = this.#at;
    const kind = this.#view.getUint32(at + 24, true);
    const tag = (kind & ENCRYPTED) === 0 ? 0 : ENCRYPTION_TAG_BYTES;
    const length = this.#view.getUint32(at, true) + FRAME_HEADER_BYTES - bodyStart(kind >>> 16) - (kind & 0xffff) - tag;
    return Math.max(0, length);
  }

  /** Milliseconds since the Unix epoch, by the clock of the writer. */
  get timestampMs(): number {
    return this.header.createdAtMs + this.#view.getUint32(this.#at + HEADER + 20, true);
  }

  get scope(): RecordScope | undefined {
    return (this.flags & RecordFlag.scoped) === 0 ? undefined : readScope(this.#view, this.#at + BODY);
  }

  /** All fields of the present frame; the same object each time. */
  get record(): RecordHeader {
    if (this.#recordIndex !== this.#index) {
      readRecordHeader(this.#view, this.#at, this.#record);
      this.#recordIndex = this.#index;
    }
    return this.#record;
  }

  /** Whether the present frame is of a run of records without flags: nothing but meta and payload is in it. */
  get isPlain(): boolean {
    return this.#index > this.#runStart && !this.header.encrypted;
  }

  /** A view of the meta as it is stored; most records have none. */
  meta(): Uint8Array {
    const { metaLength } = this;
    return metaLength === 0 ? NO_BYTES : this.#part(bodyStart(this.flags), metaLength);
  }

  /** A view of the payload as it is stored. */
  payload(): Uint8Array {
    const at = this.#at;
    // Meta length, flags and codec.
    const kind = this.#view.getUint32(at + 24, true);
    const offset = bodyStart(kind >>> 16) + (kind & 0xffff);
    const length = this.#view.getUint32(at, true) + FRAME_HEADER_BYTES - offset;
    return new Uint8Array(this.#buffer, this.#byteOffset + at + offset, Math.max(0, length));
  }

  /** A view of everything behind the record's header and scope: meta and payload as they are stored. */
  body(): Uint8Array {
    const offset = bodyStart(this.flags);
    return this.#part(offset, this.#view.getUint32(this.#at, true) + FRAME_HEADER_BYTES - offset);
  }

  /** A view of the record's header and its scope. */
  head(): Uint8Array {
    return this.#part(HEADER, bodyStart(this.flags) - HEADER);
  }

  /** The word at a place in the memory. */
  uint32At(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** Meta and payload as they were appended, in memory of their own. @throws what the decoder throws */
  decode(decoder: PayloadDecoder): RecordContent {
    try {
      return decoder.decode(this.record, this.head(), this.body(), this.position);
    } finally {
      // Zeros that stand for what could not be read are why it cannot be decoded.
      this.checkRead();
    }
  }

  /**
   * Steps to the next frame that was found, a mark included.
   *
   * @returns whether there is one
   * @throws `WAL_CORRUPT` for fields that cannot stand together behind a right checksum, `WAL_UNSUPPORTED_VERSION` for
   * unknown ones
   */
  next(): boolean {
    const index = this.#index;
    if (index < this.#runEnd) {
      this.#at = this.#offsets[index] as number;
      this.#index = index + 1;
      return true;
    }
    return this.#findRun(Number.MAX_SAFE_INTEGER) || this.#stepAlone();
  }

  /**
   * Steps to the next record of a run that was verified: {@link next} has to be called where there is none.
   *
   * @param until - the last LSN that may be stepped to
   */
  nextOfRun(until: Lsn): boolean {
    const index = this.#index;
    if (index >= this.#runEnd || this.#runLsn + (index - this.#runStart) > until) return false;
    this.#at = this.#offsets[index] as number;
    this.#index = index + 1;
    return true;
  }

  /**
   * Steps to the last of the frames that were found, and takes note of all on the way.
   *
   * @param until - stop before the first record with this LSN or a later one; marks before it are stepped to
   * @returns `false` when it stopped before such a record
   * @throws like {@link next}
   */
  skip(summary: FrameSummary, until: Lsn = Number.POSITIVE_INFINITY): boolean {
    while (!this.#stopped) {
      if (this.#findRun(until, summary)) {
        this.#index = this.#runEnd;
        this.#at = this.#offsets[this.#index - 1] as number;
        summary.plainRecords();
      }
      if (this.nextLsn >= until && this.#isBeforeHidden) return false;
      const { end } = this;
      if (!this.#stepAlone()) return true;
      const { record } = this;
      summary.frame(record, end);
      summary.provenLsn = Math.max(summary.provenLsn, provenDurable(record.lsn, record.durableLag));
    }
    return true;
  }

  /** Position in the file of the first frame that the last pass has found. */
  get foundAt(): number {
    return this.#base + (this.#offsets[0] as number);
  }

  /** What stands from {@link foundAt} to {@link end}, as it was verified: a view of the memory. */
  get foundBytes(): Uint8Array {
    const at = this.#offsets[0] as number;
    return new Uint8Array(this.#buffer, this.#byteOffset + at, Math.max(0, this.end - this.#base - at));
  }

  /**
   * Looks at other memory from now on, or at what was moved to the front of the same, in which nothing was found yet.
   *
   * @param base - position in the file of the memory's first byte
   * @param end - {@link end}, for a caller that has written over the frame that tells it
   * @param guard - of memory that may show something else than its file
   */
  adopt(bytes: Uint8Array, base: number, end = this.end, guard?: MemoryGuard): void {
    this.#forget(end);
    this.#offsets[0] = 0;
    this.#base = base;
    if (bytes !== this.#bytes) this.replace(bytes, guard);
  }

  /** The same bytes at another place in memory, as the memory that they were in is gone. */
  replace(bytes: Uint8Array, guard?: MemoryGuard): void {
    const { buffer, byteOffset, byteLength } = bytes;
    this.#bytes = bytes;
    this.#guard = guard;
    this.#buffer = buffer;
    this.#byteOffset = byteOffset;
    this.#view = new DataView(buffer, byteOffset, byteLength);
  }

  /** Finds the frames of a range of the memory. */
  scan(from: number, to: number): void {
    this.#forget(this.end);
    const position = this.#base + from;
    this.#count = scanFrames(this.#bytes, from, to, position, this.header.blockBytes, this.#seed, this.#offsets);
    this.checkRead();
  }

  /**
   * To be called when something was made of the memory.
   *
   * @throws `WAL_CORRUPT` when some of it could not be read, and showed zeros
   */
  checkRead(): void {
    this.#guard?.check();
  }

  /**
   * Takes over the frames that were found in another thread.
   *
   * @param offsets - what {@link offsets} gives there, for memory that begins at the same place in the file
   */
  take(offsets: Uint32Array): void {
    this.#forget(this.end);
    this.#offsets.set(offsets);
    this.#count = offsets.length - 1;
  }

  /** Where the frames are that were found, and where the pass stopped: a copy. */
  offsets(): Uint32Array<ArrayBuffer> {
    return this.#offsets.slice(0, this.#count + 1);
  }

  /** The frames that were found, in memory of their own. */
  found(): {
    readonly base: number;
    readonly offsets: Uint32Array<ArrayBuffer>;
    readonly bytes: Uint8Array<ArrayBuffer>;
  } {
    const first = this.#offsets[0] as number;
    const offsets = this.offsets().map((offset) => offset - first);
    return { base: this.#base + first, offsets, bytes: this.#bytes.slice(first, this.stop) };
  }

  /** Stops for good at the present frame, which cannot be there. */
  stopHere(): void {
    this.#stopped = true;
    this.#runEnd = this.#index;
  }

  /** Goes on where it had stopped, as there may be more now. */
  resume(): void {
    this.#stopped = false;
  }

  /** Releases the memory. What was found is gone, too. */
  close(): void {
    this.#forget(this.#endBefore);
    this.#stopped = true;
    this.#offsets[0] = 0;
    this.replace(NOTHING);
  }

  /** Forgets what was found. */
  #forget(end: number): void {
    this.#endBefore = end;
    this.#beginRun(this.nextLsn, 0);
    this.#count = 0;
    this.#index = 0;
    this.#at = 0;
    this.#recordIndex = -1;
    this.#isBehindMark = false;
  }

  #beginRun(nextLsn: Lsn, index: number): void {
    this.#runLsn = nextLsn;
    this.#runStart = index;
    this.#runEnd = index;
  }

  /**
   * Verifies records without flags from the next frame on, and steps to the first of them.
   *
   * @param until - the first LSN that is of no interest
   * @returns whether there is any
   */
  #findRun(until: Lsn, summary?: FrameSummary): boolean {
    if (this.#stopped || this.#index === this.#count) return false;
    const view = this.#view;
    const offsets = this.#offsets;
    const first = this.#index;
    const { nextLsn } = this;
    // The LSN behind the last record must be one, too; and a run has one upper half of its LSNs.
    const beyond = Math.min(until, Number.MAX_SAFE_INTEGER, (Math.floor(nextLsn / WORD) + 1) * WORD);
    const most = Math.min(this.#count, first + beyond - nextLsn);
    const high = Math.floor(nextLsn / WORD) | 0;
    // In signed 32-bit integers throughout, which are what a compiler is fastest with: it is done for every record.
    let low = nextLsn | 0;
    let index = first;
    let gain = Number.MIN_SAFE_INTEGER;
    for (; index < most; index++) {
      const at = offsets[index] as number;
      const length = view.getInt32(at, true);
      if (
        length < RECORD_HEADER_BYTES ||
        view.getInt32(at + 8, true) !== low ||
        view.getInt32(at + 12, true) !== high
      ) {
        break;
      }
      // Meta length, flags and codec.
      const kind = view.getInt32(at + 24, true);
      const lag = view.getInt32(at + 20, true);
      if (kind >>> 16 !== 0 || kind + RECORD_HEADER_BYTES > length || lag === 0 || lag < -1) break;
      if (lag > 0 && index - lag > gain) gain = index - lag;
      low = (low + 1) | 0;
    }
    // The lag of the record that proves most, counted from the first one of the run.
    const proven = nextLsn - first + gain;
    this.#beginRun(nextLsn, first);
    this.#isBehindMark = false;
    if (index === first) return false;
    this.#runEnd = index;
    this.#index = first + 1;
    this.#at = offsets[first] as number;
    if (summary !== undefined && proven > summary.provenLsn) summary.provenLsn = proven;
    return true;
  }

  /** Verifies one frame, of whatever kind, and steps to it. */
  #stepAlone(): boolean {
    const index = this.#index;
    if (this.#stopped || index === this.#count) return false;
    const at = this.#offsets[index] as number;
    const { nextLsn } = this;
    if (this.#view.getUint32(at, true) < RECORD_HEADER_BYTES || lsnAt(this.#view, at) !== nextLsn) {
      this.checkRead();
      this.#stopped = true;
      return false;
    }
    readRecordHeader(this.#view, at, this.#record);
    this.checkRead();
    const isMark = (this.#record.flags & RecordFlag.mark) !== 0;
    this.#check(this.#base + at, isMark);
    this.#at = at;
    this.#index = index + 1;
    this.#recordIndex = index + 1;
    this.#isBehindMark = isMark;
    this.#beginRun(isMark ? nextLsn : nextLsn + 1, index + 1);
    return true;
  }

  /**
   * Whether the next frame that was found is there, and no sound mark: behind the last record that is of interest it is
   * hidden, whatever it is.
   */
  get #isBeforeHidden(): boolean {
    if (this.#index === this.#count) return false;
    const at = this.#offsets[this.#index] as number;
    if (this.#view.getUint32(at, true) < RECORD_HEADER_BYTES) return false;
    if ((this.#view.getUint32(at + 24, true) & MARK) === 0) return true;
    readRecordHeader(this.#view, at, this.#record);
    // It is no longer that of the present frame.
    this.#recordIndex = -1;
    return this.#record.lsn === this.nextLsn && recordProblem(this.#record) !== undefined;
  }

  /** A view of a part of the present frame. */
  #part(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#byteOffset + this.#at + offset, Math.max(0, length));
  }

  /** Whether the fields in `#record` can stand together. */
  #check(offset: number, isMark: boolean): void {
    const { lsn, flags } = this.#record;
    const problem = recordProblem(this.#record);
    if (problem === 'unknown-flags' || problem === 'unknown-codec') {
      throw new WalError(
        'WAL_UNSUPPORTED_VERSION',
        `${this.path}: the record with LSN ${lsn} was written by a later version (${problem}): ` +
          'use a later walstack; nothing was changed',
        { offset, lsn, path: this.path, reason: problem },
      );
    }
    const isStray = (flags & RecordFlag.encrypted) !== 0 && !this.header.encrypted;
    const isLast = lsn === Number.MAX_SAFE_INTEGER && !isMark;
    if (problem === undefined && !isStray && !isLast) return;
    const what = `the record with LSN ${lsn} at offset ${offset} has fields that cannot be`;
    throw corruption(this.path, 'impossible-fields', what, { offset, lsn });
  }
}

/** Where in a frame meta and payload begin. */
function bodyStart(flags: number): number {
  return (flags & RecordFlag.scoped) === 0 ? BODY : BODY + SCOPE_BYTES;
}

/** The LSN of the frame at `at`; a number beyond all LSNs when it is none. */
function lsnAt(view: DataView, at: number): number {
  return view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * WORD;
}
