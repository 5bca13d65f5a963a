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
  type SegmentHeader,
  scanFrames,
} from '@walstack/codec';
import { seedOf } from '../chain/segment.js';
import type { WalRecord } from '../records/wal-record.js';
import type { MemoryGuard } from '../windows/file-windows.js';
import { BODY, bodyStart, checkFields, ENCRYPTED, HEADER, lsnAt, MARK, NO_RECORD, WORD } from './frame-fields.js';
import type { FrameSummary } from './frame-summary.js';
import { type Hole, holeOf, nextLsnBehind } from './holes.js';
import { noBytes } from './no-bytes.js';
import { plainRecordAt } from './plain-record.js';

/** The memory after `close()`: a frame of zeros. */
const NOTHING = new Uint8Array(64);

/**
 * The frames that a scan has found in a piece of a segment in memory, with steps from one to the next. The scan
 * verifies lengths and checksums of many frames at once. That LSNs are consecutive and that the fields of a frame are
 * consistent is verified before it becomes the current frame: for a *run* of records without flags, which are frequent,
 * at once. So a step within a run only counts, and only the fields that are used are read. Nothing is allocated.
 *
 * It stops permanently at a frame with an unexpected LSN: that cannot be a frame of this log.
 *
 * It is one class in spite of its length: memory, offsets and run are loaded for every record that is stepped to, and
 * in objects of their own each load would be two.
 */
export class Frames {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly #seed: number;
  /** The offset in memory of each frame found, and where the scan stopped. */
  readonly #offsets: Uint32Array<ArrayBuffer>;
  readonly #record = new RecordHeader();
  #bytes: Uint8Array = NOTHING;
  #view: DataView = new DataView(NOTHING.buffer);
  /** The buffer and offset of `#bytes`: getting them from the array costs as much as making a view. */
  #buffer: ArrayBufferLike = NOTHING.buffer;
  #byteOffset = 0;
  /** The guard of a mapping. */
  #guard: MemoryGuard | undefined;
  /** Position in the file of the memory's first byte. */
  #base: number;
  /** Frames found, and the next one to step to. */
  #count = 0;
  #index = 0;
  /** The offset in memory of the current frame. */
  #at = 0;
  /** The current run: verified records from index `#runStart`, with `#runLsn`, up to `#runEnd`. */
  #runStart = 0;
  #runEnd = 0;
  #runLsn: Lsn;
  #run = 0;
  /** Whether the frame before the run is a mark or a hole. */
  #isAfterMark = false;
  /** The end of the frames before this piece. */
  #endBefore: number;
  /** The index of the frame whose fields are in `#record`. */
  #recordIndex = -1;
  #stopped = false;

  /**
   * @param path - the path of the file, for errors
   * @param from - a position in the file: of a frame or a block boundary
   * @param nextLsn - the LSN that is expected there
   * @param framesMax - the maximum number of frames found by one scan
   */
  constructor(path: string, header: SegmentHeader, from: number, nextLsn: Lsn, framesMax: number) {
    this.path = path;
    this.header = header;
    this.#seed = seedOf(header);
    this.#offsets = new Uint32Array(framesMax + 1);
    this.#base = from;
    this.#endBefore = from;
    this.#runLsn = nextLsn;
  }

  /** CRC32C of the segment's id. */
  get seed(): number {
    return this.#seed;
  }

  /** Whether it stopped at a frame that cannot be there. */
  get stopped(): boolean {
    return this.#stopped;
  }

  /** Whether the scan found as many frames as it can: there may be more in the memory. */
  get isFull(): boolean {
    return this.#count === this.#offsets.length - 1;
  }

  /** Whether no frame was found. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Whether there are further frames to step to. */
  get hasMore(): boolean {
    return this.#index < this.#count && !this.#stopped;
  }

  /** The offset in memory where the scan stopped. */
  get stop(): number {
    return this.#offsets[this.#count] as number;
  }

  /** Whether the application has transferred the memory away. */
  get isDetached(): boolean {
    return this.#buffer.byteLength === 0;
  }

  /** Position in the file of the memory's first byte. */
  get base(): number {
    return this.#base;
  }

  /** Position in the file after the current frame, which may be a mark; where reading began when there is none. */
  get end(): number {
    if (this.#index === 0) return this.#endBefore;
    const at = this.#at;
    return this.#base + at + FRAME_HEADER_BYTES + this.#view.getUint32(at, true);
  }

  /** The LSN that is expected next. */
  get nextLsn(): Lsn {
    return this.#runLsn + (this.#index - this.#runStart);
  }

  /** The run of the current frame, a number that is not used again: its frames follow each other in the same memory. */
  get run(): number {
    return this.#run;
  }

  /** Offset in memory of the current frame. */
  get at(): number {
    return this.#at;
  }

  /** Position in the file of the current frame. */
  get position(): number {
    return this.#base + this.#at;
  }

  /** LSN of the current frame; of a mark and a hole, the LSN of the next record. */
  get lsn(): Lsn {
    return this.isMark ? this.nextLsn : this.nextLsn - 1;
  }

  get type(): number {
    return this.#view.getUint32(this.#at + HEADER + 8, true);
  }

  get flags(): number {
    return this.#view.getUint8(this.#at + HEADER + 18);
  }

  /** Whether the current frame is a mark or a hole, not a record. */
  get isMark(): boolean {
    return this.#isAfterMark && this.#index === this.#runStart;
  }

  /** The records that are lost where the current frame is; `undefined` when it is no hole, or only fills bytes. */
  get hole(): Hole | undefined {
    return this.isMark ? holeOf(this.record) : undefined;
  }

  get metaLength(): number {
    return this.#view.getUint16(this.#at + HEADER + 16, true);
  }

  /** The length of the payload as it is stored: if it is compressed, the compressed length. */
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

  /** All fields of the current frame; the same object each time. */
  get record(): RecordHeader {
    if (this.#recordIndex !== this.#index) {
      readRecordHeader(this.#view, this.#at, this.#record);
      this.#recordIndex = this.#index;
    }
    return this.#record;
  }

  /** Whether the current frame is a record without flags in a run: it contains only meta and payload. */
  get isPlain(): boolean {
    return this.#index > this.#runStart && !this.header.encrypted;
  }

  /** A view of the meta as it is stored; most records have none. */
  meta(): Uint8Array {
    const { metaLength } = this;
    return metaLength === 0 ? noBytes() : this.#part(bodyStart(this.flags), metaLength);
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

  /**
   * The current record, of a run and not encrypted: meta and payload are views.
   *
   * @throws `WAL_CORRUPT` when the memory could not be read
   */
  plainRecord(): WalRecord {
    const lsn = this.#runLsn + (this.#index - this.#runStart) - 1;
    const record = plainRecordAt(this.#view, this.#buffer, this.#byteOffset, this.#at, lsn, this.header.createdAtMs);
    this.checkRead();
    return record;
  }

  /** A view of the current frame, its length and checksum included. */
  frame(): Uint8Array {
    return this.#part(0, FRAME_HEADER_BYTES + this.#view.getUint32(this.#at, true));
  }

  /** A view of everything after the record's header and scope: meta and payload as they are stored. */
  body(): Uint8Array {
    const offset = bodyStart(this.flags);
    return this.#part(offset, this.#view.getUint32(this.#at, true) + FRAME_HEADER_BYTES - offset);
  }

  /**
   * A copy of the current frame and of those of its run that follow it without padding. Where the next one is too long, or
   * behind padding, the copy ends: it would keep memory that is no record's. So it does where the file was cut, which is zeros
   * in the rest of its last page.
   *
   * @param bytesMost - of the copy
   * @param frameBytesMost - of each frame
   * @param framesLeast - with fewer frames there is no copy
   */
  copyOfRun(bytesMost: number, frameBytesMost: number, framesLeast: number): Uint8Array<ArrayBuffer> | undefined {
    const first = this.#at;
    let end = first;
    let index = this.#index - 1;
    for (; index < this.#runEnd; index++) {
      const at = this.#offsets[index] as number;
      const frameBytes = FRAME_HEADER_BYTES + this.#view.getUint32(at, true);
      const isBehindPadding = at - end >= FRAME_HEADER_BYTES;
      if (isBehindPadding || frameBytes > frameBytesMost || at + frameBytes - first > bytesMost) break;
      if (frameBytes < BODY) break;
      end = at + frameBytes;
    }
    if (index - (this.#index - 1) < framesLeast) return undefined;
    const copy = new Uint8Array(end - first);
    copy.set(new Uint8Array(this.#buffer, this.#byteOffset + first, end - first));
    this.checkRead();
    return copy;
  }

  /** A view of the record's header and its scope. */
  head(): Uint8Array {
    return this.#part(HEADER, bodyStart(this.flags) - HEADER);
  }

  /** The 32-bit word at an offset in the memory. */
  uint32At(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** Meta and payload as they were appended, decoded into new memory. @throws what the decoder throws */
  decode(decoder: PayloadDecoder): RecordContent {
    try {
      return decoder.decode(this.record, this.head(), this.body(), this.position);
    } finally {
      // If the memory could not be read and was zeros, that is the error to report.
      this.checkRead();
    }
  }

  /**
   * Steps to the next frame found, which may be a mark.
   *
   * @returns whether there is one
   * @throws `WAL_CORRUPT` for inconsistent fields despite a valid checksum, `WAL_UNSUPPORTED_VERSION` for unknown ones
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
   * Steps to the next record of a verified run; when it returns `false`, {@link next} has to be called.
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
   * Steps to the last of the frames found, and adds all of them to `summary`.
   *
   * @param until - stop before the first record with this LSN or a later one, but after marks before it
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

  /** Position in the file of the first frame that the last scan found. */
  get foundAt(): number {
    return this.#base + (this.#offsets[0] as number);
  }

  /** The bytes from {@link foundAt} to {@link end}, as they were verified: a view of the memory. */
  get foundBytes(): Uint8Array {
    const at = this.#offsets[0] as number;
    return new Uint8Array(this.#buffer, this.#byteOffset + at, Math.max(0, this.end - this.#base - at));
  }

  /**
   * Uses other memory from now on, or the same memory after its content was moved; no frames are found in it yet.
   *
   * @param base - position in the file of the memory's first byte
   * @param end - {@link end}, for a caller that has overwritten the frame from which it is computed
   * @param guard - for memory that may differ from its file
   */
  adopt(bytes: Uint8Array, base: number, end = this.end, guard?: MemoryGuard): void {
    this.#reset(end);
    this.#offsets[0] = 0;
    this.#base = base;
    if (bytes !== this.#bytes) this.replace(bytes, guard);
  }

  /** Replaces the memory by other memory with the same bytes. */
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
    this.#reset(this.end);
    const position = this.#base + from;
    this.#count = scanFrames(this.#bytes, from, to, position, this.header.blockBytes, this.#seed, this.#offsets);
    this.checkRead();
  }

  /**
   * To be called after the memory was read, before the result is used.
   *
   * @throws `WAL_CORRUPT` when some of it could not be read, and was zeros
   */
  checkRead(): void {
    this.#guard?.check();
  }

  /**
   * Takes over frames that were found in another thread.
   *
   * @param offsets - what {@link offsets} returned there, for memory that begins at the same position in the file
   */
  take(offsets: Uint32Array): void {
    this.#reset(this.end);
    this.#offsets.set(offsets);
    this.#count = offsets.length - 1;
  }

  /** The offsets of the frames found, and where the scan stopped: a copy. */
  offsets(): Uint32Array<ArrayBuffer> {
    return this.#offsets.slice(0, this.#count + 1);
  }

  /** The frames found, copied into new memory. */
  found(): {
    readonly base: number;
    readonly offsets: Uint32Array<ArrayBuffer>;
    readonly bytes: Uint8Array<ArrayBuffer>;
  } {
    const first = this.#offsets[0] as number;
    const offsets = this.offsets().map((offset) => offset - first);
    return { base: this.#base + first, offsets, bytes: this.#bytes.slice(first, this.stop) };
  }

  /** Stops permanently at the current frame, which cannot be there. */
  stopHere(): void {
    this.#stopped = true;
    this.#runEnd = this.#index;
  }

  /** Continues where it had stopped: there may be more now. */
  resume(): void {
    this.#stopped = false;
  }

  /** Releases the memory, and drops the frames found. */
  close(): void {
    this.#reset(this.#endBefore);
    this.#stopped = true;
    this.#offsets[0] = 0;
    this.replace(NOTHING);
  }

  /** Drops the frames found. */
  #reset(end: number): void {
    this.#endBefore = end;
    this.#beginRun(this.nextLsn, 0);
    this.#count = 0;
    this.#index = 0;
    this.#at = 0;
    this.#recordIndex = -1;
    this.#isAfterMark = false;
  }

  #beginRun(nextLsn: Lsn, index: number): void {
    this.#run++;
    this.#runLsn = nextLsn;
    this.#runStart = index;
    this.#runEnd = index;
  }

  /**
   * Verifies a run of records without flags from the next frame on, and steps to the first of them.
   *
   * @param until - the first LSN that is not needed
   * @returns whether there is any
   */
  #findRun(until: Lsn, summary?: FrameSummary): boolean {
    if (this.#stopped || this.#index === this.#count) return false;
    const view = this.#view;
    const offsets = this.#offsets;
    const first = this.#index;
    const { nextLsn } = this;
    // The LSN after the last record must be valid, too; and all LSNs of a run have the same upper half.
    const beyond = Math.min(until, Number.MAX_SAFE_INTEGER, (Math.floor(nextLsn / WORD) + 1) * WORD);
    const most = Math.min(this.#count, first + beyond - nextLsn);
    const high = Math.floor(nextLsn / WORD) | 0;
    // Only signed 32-bit integers, which the compiler makes fastest code for: this runs for every record.
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
    // The highest LSN that a record of the run proves durable.
    const proven = nextLsn - first + gain;
    this.#beginRun(nextLsn, first);
    this.#isAfterMark = false;
    if (index === first) return false;
    this.#runEnd = index;
    this.#index = first + 1;
    this.#at = offsets[first] as number;
    if (summary !== undefined && proven > summary.provenLsn) summary.provenLsn = proven;
    return true;
  }

  /** Verifies one frame of any kind, and steps to it. */
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
    const isMark = (this.#record.flags & NO_RECORD) !== 0;
    checkFields(this.path, this.header, this.#record, this.#base + at);
    this.#at = at;
    this.#index = index + 1;
    this.#recordIndex = index + 1;
    this.#isAfterMark = isMark;
    this.#beginRun(isMark ? nextLsnBehind(this.#record) : nextLsn + 1, index + 1);
    return true;
  }

  /**
   * Whether there is a next frame that is not a valid mark: after the last record that is needed it is not examined
   * further.
   */
  get #isBeforeHidden(): boolean {
    if (this.#index === this.#count) return false;
    const at = this.#offsets[this.#index] as number;
    if (this.#view.getUint32(at, true) < RECORD_HEADER_BYTES) return false;
    if ((this.#view.getUint32(at + 24, true) & MARK) === 0) return true;
    readRecordHeader(this.#view, at, this.#record);
    // `#record` no longer belongs to the current frame.
    this.#recordIndex = -1;
    return this.#record.lsn === this.nextLsn && recordProblem(this.#record) !== undefined;
  }

  /** A view of a part of the current frame. */
  #part(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#buffer, this.#byteOffset + this.#at + offset, Math.max(0, length));
  }
}
