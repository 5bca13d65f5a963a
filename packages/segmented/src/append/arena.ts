import {
  blockEnd,
  FRAME_HEADER_BYTES,
  frameStart,
  type Lsn,
  MARK_FRAME_BYTES,
  RecordHeader,
  readRecordHeader,
} from '@walstack/codec';
import { writeSessionMark } from '@walstack/codec/internal';
import type { StorageIo } from '@walstack/storage-io';
import type { ActiveSegment } from '../segments/active-segment.js';

/** Size of a regular chunk. A larger record gets a chunk of its own size, a short segment a smaller one. */
const CHUNK_BYTES = 1024 * 1024;

/** The number of chunks that are kept for reuse. */
const SPARE_CHUNKS = 2;

/** A buffer with the bytes of one range of one segment. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly segment: ActiveSegment;
  /** Offset in the segment's file of the first byte: a block boundary. */
  readonly base: number;
  /** Length of the memory, and block size of the segment: copied here, as they are read for every record. */
  readonly length: number;
  readonly blockBytes: number;
  /** First byte that {@link Arena.take} has not handed out, and the byte behind the last encoded one. */
  start: number;
  end: number;
  /** The last extent, while it is not released and ends inside a block: nothing may be encoded into that block. */
  tail: Extent | undefined;
  /**
   * Up to here frames of this group follow on the last one, without a look at the segment. 0 before the first one: where
   * that begins depends on what is in flight.
   */
  followEnd: number;
  /** The LSN behind the last record encoded. */
  nextLsn: Lsn;
  /** The number of extents that were handed out and not yet released: a backend may still read them. */
  lent: number;
}

/** A range of memory to be written to a segment. */
export interface Extent {
  readonly segment: ActiveSegment;
  /** The bytes, a view of the chunk: of whole blocks where these are written, with what was written before in front. */
  readonly bytes: Uint8Array;
  /** Offset of the range in the segment's file. */
  readonly position: number;
  /** Where in `bytes` the encoded ones begin and end. */
  readonly from: number;
  readonly to: number;
  /** The LSN behind the last record of the range. */
  readonly nextLsn: Lsn;
  readonly chunk: Chunk;
}

/**
 * The memory that records are encoded into, in the order in which they will stand in the files. An offset in a chunk is
 * congruent to the offset in the file, modulo the block size.
 */
export class Arena {
  readonly #io: StorageIo;
  readonly #padGroups: boolean;
  readonly #wholeBlocks: boolean;
  readonly #segmentBytes: number;
  readonly #spare: Uint8Array[] = [];
  #closed: Chunk[] = [];
  #open: Chunk | undefined;
  #pendingBytes = 0;
  /** Where the frame that {@link place} made room for begins, or the zeros before it. */
  #placedFrom = 0;

  /**
   * @param padGroups - pad every group to the end of its block
   * @param wholeBlocks - write whole blocks, of which no two are in flight at the same time: a group that begins while the
   * last one is in flight begins in the next block
   */
  constructor(io: StorageIo, segmentBytes: number, padGroups: boolean, wholeBlocks: boolean) {
    this.#io = io;
    this.#padGroups = padGroups;
    this.#wholeBlocks = wholeBlocks;
    this.#segmentBytes = segmentBytes;
  }

  /** The memory that the last {@link place} returned an offset in. */
  get bytes(): Uint8Array {
    return (this.#open as Chunk).bytes;
  }

  /** The same memory. */
  get view(): DataView {
    return (this.#open as Chunk).view;
  }

  /** Whether {@link take} has handed out everything encoded. */
  get isTaken(): boolean {
    return this.#closed.length === 0 && (this.#open === undefined || this.#open.end === this.#open.start);
  }

  /** Whether {@link take} would hand out at most one extent, of this segment. */
  isOnlyFor(segment: ActiveSegment): boolean {
    return this.#closed.length === 0 && (this.#open === undefined || this.#open.segment === segment);
  }

  /** Bytes encoded and not yet released. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** Offset in the file of a segment from which on the next frame can begin. */
  nextOffset(segment: ActiveSegment): number {
    if (!this.#wholeBlocks) return segment.end;
    const chunk = this.#open;
    const isOpen = chunk !== undefined && chunk.segment === segment && chunk.tail === undefined;
    return isOpen ? segment.end : blockEnd(segment.end, segment.header.blockBytes);
  }

  /**
   * The place of a frame that follows on the last one of its group, in the common case: {@link followUpTo} has allowed it,
   * and it does not have to start in the next block. Like {@link place}, it changes nothing.
   *
   * @returns its offset in {@link bytes}; -1 when {@link place} has to make room
   */
  follow(segment: ActiveSegment, frameBytes: number): number {
    const chunk = this.#open;
    if (chunk === undefined || chunk.segment !== segment) return -1;
    const { end, blockBytes } = chunk;
    if (end + frameBytes > chunk.followEnd) return -1;
    return frameStart(end, blockBytes) === end ? end : -1;
  }

  /** Allows the next frames of this group to {@link follow} up to an offset in the file. */
  followUpTo(end: number): void {
    const chunk = this.#open as Chunk;
    chunk.followEnd = Math.min(chunk.length, end - chunk.base);
  }

  /**
   * Makes room for a frame behind everything encoded, with zeros before it if it has to start in the next block. The
   * caller encodes the frame there and then calls {@link placed}: until then nothing has changed.
   *
   * @returns its offset in {@link bytes}
   */
  place(segment: ActiveSegment, frameBytes: number): number {
    const chunk = this.makeRoom(segment, frameBytes);
    const from = beginningIn(chunk);
    const offset = frameStart(from, chunk.blockBytes);
    if (offset > from) chunk.bytes.fill(0, from, offset);
    this.#placedFrom = from;
    return offset;
  }

  /**
   * Called when the frame for which {@link place} made room is encoded. Cannot fail.
   *
   * @param end - offset behind the frame, in {@link bytes}
   * @param nextLsn - the LSN behind the frame
   */
  placed(end: number, nextLsn: Lsn): void {
    const chunk = this.#open as Chunk;
    if (chunk.tail !== undefined) {
      // The first frame behind an extent in flight: the rest of that extent's last block is zeros already.
      chunk.start = this.#placedFrom;
      chunk.end = this.#placedFrom;
      chunk.tail = undefined;
    }
    this.#advance(chunk, end);
    chunk.nextLsn = nextLsn;
  }

  /**
   * Ensures that this number of bytes from the next frame's offset on lies in one chunk: frames placed in them are handed
   * out and written together.
   */
  makeRoom(segment: ActiveSegment, bytes: number): Chunk {
    const chunk = this.#open;
    if (
      chunk === undefined ||
      chunk.segment !== segment ||
      frameStart(beginningIn(chunk), chunk.blockBytes) + bytes > chunk.length
    ) {
      return this.#nextChunk(segment, bytes);
    }
    return chunk;
  }

  /** Pads the group to the end of its block, also when groups are not padded. */
  pad(): void {
    if (this.#open !== undefined) this.#pad(this.#open);
  }

  /** Ends the group: hands out everything encoded and not yet handed out, padded if groups are padded. */
  take(): Extent[] {
    const chunks = this.#closed;
    this.#closed = [];
    if (this.#open !== undefined && this.#open.end > this.#open.start) chunks.push(this.#open);
    return chunks.map((chunk) => this.#hand(chunk));
  }

  /** Releases the memory of an extent that was written. */
  release(extent: Extent): void {
    const { chunk, from, to } = extent;
    this.#pendingBytes -= to - from;
    chunk.lent--;
    if (chunk.tail === extent) chunk.tail = undefined;
    this.#recycle(chunk);
  }

  /** Discards everything that was not handed out. */
  discard(): void {
    for (const chunk of this.#closed) this.#pendingBytes -= chunk.end - chunk.start;
    if (this.#open !== undefined) this.#pendingBytes -= this.#open.end - this.#open.start;
    this.#closed = [];
    this.#open = undefined;
  }

  /** Hands out what was encoded into a chunk: by whole blocks, if these are written. */
  #hand(chunk: Chunk): Extent {
    if (this.#padGroups) this.#pad(chunk);
    const { segment, start, end, nextLsn, base, blockBytes } = chunk;
    const first = this.#wholeBlocks ? start - (start % blockBytes) : start;
    const limit = this.#wholeBlocks ? blockEnd(end, blockBytes) : end;
    // What was in the memory before must not be written behind the last frame.
    if (limit > end) chunk.bytes.fill(0, end, limit);
    const bytes = chunk.bytes.subarray(first, limit);
    const extent = { segment, bytes, position: base + first, from: start - first, to: end - first, nextLsn, chunk };
    chunk.start = end;
    chunk.followEnd = 0;
    chunk.lent++;
    chunk.tail = limit > end ? extent : undefined;
    return extent;
  }

  #advance(chunk: Chunk, end: number): void {
    this.#pendingBytes += end - chunk.end;
    chunk.end = end;
    chunk.segment.end = chunk.base + end;
  }

  #pad(chunk: Chunk): void {
    const end = blockEnd(chunk.end, chunk.segment.header.blockBytes);
    chunk.bytes.fill(0, chunk.end, end);
    this.#advance(chunk, end);
  }

  #nextChunk(segment: ActiveSegment, bytesNeeded: number): Chunk {
    this.#closeChunk();
    const { blockBytes } = segment.header;
    // The block that holds the end of the last chunk may be in flight, and is not in the memory of this one.
    const behind = this.#wholeBlocks ? blockEnd(segment.end, blockBytes) : segment.end;
    const { isClosed } = segment;
    // Behind the block of the mark that the log goes on: no other write touches that block.
    const from = isClosed ? behind + blockBytes : behind;
    const start = from % blockBytes;
    const markBytes = isClosed ? MARK_FRAME_BYTES : 0;
    // Includes the bytes skipped when the frame has to start in the next block, and the padding to the end of the last
    // block.
    const needed = blockEnd(start + markBytes + FRAME_HEADER_BYTES + bytesNeeded, blockBytes);
    const bytes = this.#memory(Math.max(needed, blockEnd(this.#segmentBytes - from, blockBytes)), needed);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { nextLsn } = segment;
    const { length } = bytes;
    const base = from - start;
    this.#open = {
      bytes,
      view,
      segment,
      base,
      length,
      blockBytes,
      start,
      end: start,
      tail: undefined,
      followEnd: 0,
      nextLsn,
      lent: 0,
    };
    if (isClosed) this.#beginSession(this.#open);
    return this.#open;
  }

  /** Encodes the mark that begins what this opening appends to a segment of an earlier one. */
  #beginSession(chunk: Chunk): void {
    const { segment, view, start, nextLsn } = chunk;
    const { sessionId } = segment.continuation ?? {};
    if (sessionId === undefined) return;
    writeSessionMark(view, start, nextLsn, sessionId);
    const mark = new RecordHeader();
    readRecordHeader(view, start, mark);
    segment.sessions.note(mark);
    this.#advance(chunk, start + MARK_FRAME_BYTES);
  }

  #memory(wanted: number, needed: number): Uint8Array {
    const bytes = Math.max(needed, Math.min(wanted, CHUNK_BYTES));
    return (bytes === CHUNK_BYTES ? this.#spare.pop() : undefined) ?? this.#io.allocateBuffer(bytes);
  }

  #closeChunk(): void {
    const chunk = this.#open;
    if (chunk === undefined) return;
    this.#open = undefined;
    if (chunk.end === chunk.start) {
      this.#recycle(chunk);
      return;
    }
    // Then each chunk begins and ends at a block boundary.
    if (this.#padGroups || this.#wholeBlocks) this.#pad(chunk);
    this.#closed.push(chunk);
  }

  /** Keeps the memory of a chunk for reuse when it is empty and no extent of it is in use. */
  #recycle(chunk: Chunk): void {
    if (chunk.lent > 0 || chunk.end > chunk.start) return;
    // The memory of one large record is not kept for the small ones behind it.
    if (chunk === this.#open && chunk.bytes.length > CHUNK_BYTES) this.#open = undefined;
    if (chunk === this.#open || chunk.bytes.length !== CHUNK_BYTES || this.#spare.length === SPARE_CHUNKS) return;
    this.#spare.push(chunk.bytes);
  }
}

/** Where in a chunk the next frame can begin: behind the block that is in flight, if there is one. */
const beginningIn = ({ tail, end, blockBytes }: Chunk): number =>
  tail === undefined ? end : blockEnd(end, blockBytes);
