import { blockEnd, FRAME_HEADER_BYTES, frameStart, type Lsn } from '@walstack/codec';
import type { StorageIo } from '@walstack/storage-io';
import type { ActiveSegment } from '../segments/active-segment.js';

/** Bytes of an ordinary chunk. A larger record gets a chunk of its own size, and a short segment a smaller one. */
const CHUNK_BYTES = 1024 * 1024;

/** Chunks that are kept for reuse. */
const SPARE_CHUNKS = 2;

/** A piece of memory with the bytes of one stretch of one segment. */
interface Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly segment: ActiveSegment;
  /** Offset in the segment's file of the first byte: a block boundary. */
  readonly base: number;
  /** Of the memory and of the segment's blocks: they are looked at for every record. */
  readonly length: number;
  readonly blockBytes: number;
  /** First byte that was not taken, and behind the last one encoded. */
  start: number;
  end: number;
  /** The LSN behind the last record encoded. */
  nextLsn: Lsn;
  /** Extents that were taken and not yet released: a backend may still read them. */
  lent: number;
}

/** A range of memory to be written to a segment. */
export interface Extent {
  readonly segment: ActiveSegment;
  /** The bytes, a view of the chunk. */
  readonly bytes: Uint8Array;
  /** Offset of the range in the segment's file. */
  readonly position: number;
  /** The LSN behind the last record of the range. */
  readonly nextLsn: Lsn;
  readonly chunk: Chunk;
}

/**
 * The memory that records are encoded into, in the order in which they will stand in the files. Offsets in a chunk are
 * congruent to offsets in the file, block by block.
 */
export class Arena {
  readonly #io: StorageIo;
  readonly #padGroups: boolean;
  readonly #segmentBytes: number;
  readonly #spare: Uint8Array[] = [];
  #closed: Chunk[] = [];
  #open: Chunk | undefined;
  #pendingBytes = 0;

  /** @param padGroups - end every group with its block */
  constructor(io: StorageIo, segmentBytes: number, padGroups: boolean) {
    this.#io = io;
    this.#padGroups = padGroups;
    this.#segmentBytes = segmentBytes;
  }

  /** The memory of the last {@link place}. */
  get bytes(): Uint8Array {
    return (this.#open as Chunk).bytes;
  }

  /** The same memory. */
  get view(): DataView {
    return (this.#open as Chunk).view;
  }

  /** Whether everything encoded was handed out. */
  get isTaken(): boolean {
    return this.#closed.length === 0 && (this.#open === undefined || this.#open.end === this.#open.start);
  }

  /** Encoded and not yet released, in bytes. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /**
   * Makes room for a frame behind all that was encoded, zeros in between where no frame may start. The frame is encoded there,
   * and counts when {@link placed} says so: until then nothing has changed.
   *
   * @returns its offset in {@link bytes}
   */
  place(segment: ActiveSegment, frameBytes: number): number {
    const chunk = this.makeRoom(segment, frameBytes);
    const offset = frameStart(chunk.end, chunk.blockBytes);
    if (offset > chunk.end) chunk.bytes.fill(0, chunk.end, offset);
    return offset;
  }

  /**
   * The frame that room was made for last is encoded. Cannot fail.
   *
   * @param end - behind it, in {@link bytes}
   * @param nextLsn - the LSN behind the frame
   */
  placed(end: number, nextLsn: Lsn): void {
    const chunk = this.#open as Chunk;
    this.#advance(chunk, end);
    chunk.nextLsn = nextLsn;
  }

  /**
   * Has so many bytes stand in one piece, from the next place for a frame on: what is placed in them is handed out and
   * written together.
   */
  makeRoom(segment: ActiveSegment, bytes: number): Chunk {
    const chunk = this.#open;
    if (
      chunk === undefined ||
      chunk.segment !== segment ||
      frameStart(chunk.end, chunk.blockBytes) + bytes > chunk.length
    ) {
      return this.#nextChunk(segment, bytes);
    }
    return chunk;
  }

  /** Has the group end with its block, where groups are not padded anyway. */
  pad(): void {
    if (this.#open !== undefined) this.#pad(this.#open);
  }

  /** Ends the group: hands out everything encoded and not yet handed out, padded where groups are. */
  take(): Extent[] {
    const chunks = this.#closed;
    this.#closed = [];
    if (this.#open !== undefined && this.#open.end > this.#open.start) chunks.push(this.#open);
    return chunks.map((chunk) => {
      if (this.#padGroups) this.#pad(chunk);
      const { segment, start, end, nextLsn } = chunk;
      chunk.start = end;
      chunk.lent++;
      const bytes = chunk.bytes.subarray(start, end);
      return { segment, bytes, position: chunk.base + start, nextLsn, chunk };
    });
  }

  /** Takes back the memory of an extent that was written. */
  release({ chunk, bytes }: Extent): void {
    this.#pendingBytes -= bytes.length;
    chunk.lent--;
    this.#recycle(chunk);
  }

  /** Forgets everything that was not handed out. */
  discard(): void {
    for (const chunk of this.#closed) this.#pendingBytes -= chunk.end - chunk.start;
    if (this.#open !== undefined) this.#pendingBytes -= this.#open.end - this.#open.start;
    this.#closed = [];
    this.#open = undefined;
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
    const start = segment.end % blockBytes;
    // The frame may have to start in the next block, and padding goes to the end of the last.
    const needed = blockEnd(start + FRAME_HEADER_BYTES + bytesNeeded, blockBytes);
    const bytes = this.#memory(Math.max(needed, blockEnd(this.#segmentBytes - segment.end, blockBytes)), needed);
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const { nextLsn } = segment;
    const { length } = bytes;
    const base = segment.end - start;
    this.#open = { bytes, view, segment, base, length, blockBytes, start, end: start, nextLsn, lent: 0 };
    return this.#open;
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
    // Each write ends with a block where groups do, and what follows begins with one.
    if (this.#padGroups) this.#pad(chunk);
    this.#closed.push(chunk);
  }

  /** Keeps the memory of a chunk that is not needed any more. */
  #recycle(chunk: Chunk): void {
    if (chunk.lent > 0 || chunk.end > chunk.start) return;
    // What was made for one large record is not kept for the small ones behind it.
    if (chunk === this.#open && chunk.bytes.length > CHUNK_BYTES) this.#open = undefined;
    if (chunk === this.#open || chunk.bytes.length !== CHUNK_BYTES || this.#spare.length === SPARE_CHUNKS) return;
    this.#spare.push(chunk.bytes);
  }
}
