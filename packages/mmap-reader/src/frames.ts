import {
  ENCRYPTION_TAG_BYTES,
  FRAME_HEADER_BYTES,
  LAG_UNKNOWN,
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
import { corruption } from './corruption.js';
import type { FrameSummary } from './frame-summary.js';
import { seedOf } from './segment.js';

/** What is shown when there is no memory any more: a frame of zeros. */
const NOTHING = new Uint8Array(64);

/** Where in a frame its record's header begins, and where what follows the header does. */
const HEADER = FRAME_HEADER_BYTES;
const BODY = FRAME_HEADER_BYTES + RECORD_HEADER_BYTES;

/**
 * The frames that a pass has found in a piece of a segment in memory, and the steps from one to the next. The pass
 * verifies lengths and checksums of many frames at once; a step verifies that LSNs count on and that the fields of a
 * frame can stand together. A step allocates nothing, and reads of a frame only what is asked for.
 *
 * It stops for good at a frame with another LSN than the expected one: no frame of this log can stand there.
 */
export class Frames {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly #seed: number;
  readonly #offsets: Uint32Array;
  readonly #record = new RecordHeader();
  #bytes: Uint8Array = NOTHING;
  #view: DataView = new DataView(NOTHING.buffer);
  /** Position in the file of the memory's first byte. */
  #base: number;
  /** Frames found, and the next one to step to. */
  #count = 0;
  #index = 0;
  /** Where in the memory the present frame is. */
  #at = 0;
  #lsn: Lsn = 0;
  #nextLsn: Lsn;
  /** Where the frames before this piece end. */
  #endBefore: number;
  /** Whether `#record` is that of the present frame. */
  #isRead = false;
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
    this.#nextLsn = nextLsn;
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

  /** Whether frames were found that were not stepped to yet. */
  get hasMore(): boolean {
    return this.#index < this.#count && !this.#stopped;
  }

  /** Whether no frame was found. */
  get isEmpty(): boolean {
    return this.#count === 0;
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
    const at = this.#offsets[this.#index - 1] as number;
    return this.#base + at + FRAME_HEADER_BYTES + this.#view.getUint32(at, true);
  }

  /** The LSN that is expected next. */
  get nextLsn(): Lsn {
    return this.#nextLsn;
  }

  /** Position in the file of the present frame. */
  get position(): number {
    return this.#base + this.#at;
  }

  /** LSN of the present frame; of a mark, the next one that is given out. */
  get lsn(): Lsn {
    return this.#lsn;
  }

  get type(): number {
    return this.#view.getUint32(this.#at + HEADER + 8, true);
  }

  get flags(): number {
    return this.#view.getUint8(this.#at + HEADER + 18);
  }

  get isMark(): boolean {
    return (this.flags & RecordFlag.mark) !== 0;
  }

  get metaLength(): number {
    return this.#view.getUint16(this.#at + HEADER + 16, true);
  }

  /** Bytes of the payload as it is stored: of a compressed one, compressed. */
  get payloadLength(): number {
    const { flags } = this;
    const tag = (flags & RecordFlag.encrypted) === 0 ? 0 : ENCRYPTION_TAG_BYTES;
    return Math.max(0, this.#view.getUint32(this.#at, true) - this.#bodyStart() + HEADER - this.metaLength - tag);
  }

  /** Milliseconds since the Unix epoch, by the clock of the writer. */
  get timestampMs(): number {
    return this.header.createdAtMs + this.#view.getUint32(this.#at + HEADER + 20, true);
  }

  get scope(): RecordScope | undefined {
    return (this.flags & RecordFlag.scoped) === 0 ? undefined : readScope(this.#view, this.#at + BODY);
  }

  /** The word at a place in the memory. */
  uint32At(offset: number): number {
    return this.#view.getUint32(offset, true);
  }

  /** All fields of the present frame; the same object each time. */
  get record(): RecordHeader {
    if (!this.#isRead) {
      readRecordHeader(this.#view, this.#at, this.#record);
      this.#isRead = true;
    }
    return this.#record;
  }

  /** A view of the meta as it is stored. */
  meta(): Uint8Array {
    return this.#part(this.#bodyStart(), this.metaLength);
  }

  /** A view of the payload as it is stored. */
  payload(): Uint8Array {
    const offset = this.#bodyStart() + this.metaLength;
    return this.#part(offset, this.#view.getUint32(this.#at, true) + FRAME_HEADER_BYTES - offset);
  }

  /** A view of everything behind the record's header and scope: meta and payload as they are stored. */
  body(): Uint8Array {
    const offset = this.#bodyStart();
    return this.#part(offset, this.#view.getUint32(this.#at, true) + FRAME_HEADER_BYTES - offset);
  }

  /** A view of the record's header and its scope. */
  head(): Uint8Array {
    return this.#part(HEADER, this.#bodyStart() - HEADER);
  }

  /** Meta and payload as they were appended, in memory of their own. @throws what the decoder throws */
  decode(decoder: PayloadDecoder): RecordContent {
    return decoder.decode(this.record, this.head(), this.body(), this.position);
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
    if (index === this.#count) return false;
    const at = this.#offsets[index] as number;
    const view = this.#view;
    const length = view.getUint32(at, true);
    const lsn = this.#nextLsn;
    if (length < RECORD_HEADER_BYTES || lsnAt(view, at) !== lsn) return this.#stop();
    this.#at = at;
    this.#isRead = false;
    this.#lsn = lsn;
    // Meta length, flags and codec: most records have no flags.
    const kind = view.getUint32(at + 24, true);
    if (kind > 0xffff || kind + RECORD_HEADER_BYTES > length || view.getUint32(at + 20, true) === 0) {
      this.#checkFields();
    }
    // The LSN behind the last record must be one, too.
    if (lsn === Number.MAX_SAFE_INTEGER && !this.isMark) throw this.#impossible();
    this.#index = index + 1;
    if ((kind & MARK) === 0) this.#nextLsn = lsn + 1;
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
      this.#skipPlain(summary, until);
      if (this.#nextLsn >= until && this.#isBeforeRecord) return false;
      const { end } = this;
      if (!this.next()) return true;
      const { record } = this;
      summary.frame(record, end);
      summary.provenLsn = Math.max(summary.provenLsn, provenDurable(record.lsn, record.durableLag));
    }
    return true;
  }

  /** Whether the next frame that was found is there, and no mark. */
  get #isBeforeRecord(): boolean {
    if (this.#index === this.#count) return false;
    const at = this.#offsets[this.#index] as number;
    return this.#view.getUint32(at, true) >= RECORD_HEADER_BYTES && (this.#view.getUint32(at + 24, true) & MARK) === 0;
  }

  /** Steps over records without flags, of which there are many: a few nanoseconds each. */
  #skipPlain(summary: FrameSummary, until: Lsn): void {
    const view = this.#view;
    const offsets = this.#offsets;
    const count = this.#count;
    let { provenLsn } = summary;
    let index = this.#index;
    let lsn = this.#nextLsn;
    const beyond = Math.min(until, Number.MAX_SAFE_INTEGER);
    for (; index < count && lsn < beyond; index++, lsn++) {
      const at = offsets[index] as number;
      const length = view.getUint32(at, true);
      if (length < RECORD_HEADER_BYTES || lsnAt(view, at) !== lsn) break;
      const kind = view.getUint32(at + 24, true);
      const lag = view.getUint32(at + 20, true);
      if (kind > 0xffff || kind + RECORD_HEADER_BYTES > length || lag === 0) break;
      if (lag !== LAG_UNKNOWN && lsn - lag > provenLsn) provenLsn = lsn - lag;
    }
    if (index === this.#index) return;
    this.#at = offsets[index - 1] as number;
    this.#isRead = false;
    this.#lsn = lsn - 1;
    this.#nextLsn = lsn;
    this.#index = index;
    summary.provenLsn = provenLsn;
    summary.plainRecords();
  }

  /**
   * Looks at other memory from now on, or at what was moved to the front of the same, in which nothing was found yet.
   *
   * @param base - position in the file of the memory's first byte
   * @param end - {@link end}, for who has written over the frame that tells it
   */
  adopt(bytes: Uint8Array, base: number, end = this.end): void {
    this.#endBefore = end;
    this.#base = base;
    this.#count = 0;
    this.#index = 0;
    this.#offsets[0] = 0;
    if (bytes === this.#bytes) return;
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** The same bytes at another place in memory, as the memory that they were in is gone. */
  replace(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Finds the frames of a range of the memory. */
  scan(from: number, to: number): void {
    const end = this.end;
    const position = this.#base + from;
    this.#count = scanFrames(this.#bytes, from, to, position, this.header.blockBytes, this.#seed, this.#offsets);
    this.#index = 0;
    this.#endBefore = end;
  }

  /** Takes over what was found in another thread: offsets in the memory, of frames whose checksums were verified. */
  take(offsets: Uint32Array, count: number): void {
    const end = this.end;
    this.#offsets.set(offsets.subarray(0, count));
    this.#count = count;
    this.#index = 0;
    this.#endBefore = end;
  }

  /** Goes on where it had stopped, as there may be more now. */
  resume(): void {
    this.#stopped = false;
  }

  /** Lets go of the memory. What was found is gone, too. */
  close(): void {
    this.#endBefore = this.end;
    this.#stopped = true;
    this.#bytes = NOTHING;
    this.#view = new DataView(NOTHING.buffer);
    this.#count = 0;
    this.#index = 0;
    this.#at = 0;
  }

  #stop(): false {
    this.#stopped = true;
    return false;
  }

  /** Where in the present frame meta and payload begin. */
  #bodyStart(): number {
    return (this.flags & RecordFlag.scoped) === 0 ? BODY : BODY + SCOPE_BYTES;
  }

  /** A view of a part of the present frame. */
  #part(offset: number, length: number): Uint8Array {
    return new Uint8Array(this.#bytes.buffer, this.#bytes.byteOffset + this.#at + offset, length);
  }

  #checkFields(): void {
    const { record } = this;
    const problem = recordProblem(record);
    const stray = (record.flags & RecordFlag.encrypted) !== 0 && !this.header.encrypted;
    if (problem === undefined && !stray) return;
    if (problem === 'unknown-flags' || problem === 'unknown-codec') {
      throw new WalError(
        'WAL_UNSUPPORTED_VERSION',
        `${this.path}: the record with LSN ${record.lsn} was written by a later version (${problem}): ` +
          'use a later walstack; nothing was changed',
        { offset: this.position, lsn: record.lsn, path: this.path, reason: problem },
      );
    }
    throw this.#impossible();
  }

  #impossible(): WalError {
    const { lsn, position } = this;
    const what = `the record with LSN ${lsn} at offset ${position} has fields that cannot be`;
    return corruption(this.path, 'impossible-fields', what, { offset: position, lsn });
  }
}

/** The mark's flag in the word of meta length, flags and codec. */
const MARK = RecordFlag.mark << 16;

/** The LSN of the frame at `at`; a number beyond all LSNs when it is none. */
function lsnAt(view: DataView, at: number): number {
  return view.getUint32(at + 8, true) + view.getUint32(at + 12, true) * 0x1_0000_0000;
}
