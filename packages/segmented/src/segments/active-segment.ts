import { join } from 'node:path';
import { blockEnd, type KeyRing, type Lsn, SegmentCipher, type SegmentHeader } from '@walstack/codec';
import { type Segment, Sessions, SparseIndex, seedOf } from '@walstack/mmap-reader/internal';
import type { IoFile } from '@walstack/storage-io';
import { nameOf } from './segment.js';

/** How a log goes on in a segment that an earlier opening has written, and closed. */
export interface Continuation {
  /** Offset behind the mark of the clean close. */
  readonly closedEnd: number;
  /** The end of its block, where the mark is written that the log goes on. The next block is the first one for records. */
  readonly end: number;
  /** Random bytes: the id of the session. `undefined` before the first append, as the source may be the application's. */
  sessionId: Uint8Array | undefined;
}

/**
 * The segment that records are appended to. It begins as a plan in memory, so that `append` never waits; the next flush
 * or sync creates its file.
 */
export class ActiveSegment implements Segment {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly seed: number;
  readonly sparseIndex: SparseIndex;
  readonly sessions: Sessions;
  /** `undefined` in a segment that this opening of the log has made. */
  readonly continuation: Continuation | undefined;
  /** The key ring that it was planned with. */
  readonly keyRing: KeyRing | undefined;
  /** `undefined` when records are not encrypted. */
  readonly cipher: SegmentCipher | undefined;
  /** `undefined` until the file is created. */
  file: IoFile | undefined;
  /** Offset behind the last byte encoded, padding included. */
  end: number;
  /** The LSN behind the last record encoded. */
  nextLsn: Lsn;
  /** `end` and `nextLsn` behind the last group that was written. */
  #writtenEnd: number;
  #writtenNextLsn: Lsn;
  /** Whether a group was written to it since it was opened. */
  isBegun = false;
  /** Whether the file has writes that no datasync has covered. */
  dirty = false;
  /** Up to this offset the file has allocated blocks; a multiple of the block size. */
  preallocatedEnd: number;

  /**
   * @param closed - what an earlier opening has written to the file, up to the mark of a clean close; `undefined` when this
   * opening makes the segment
   * @throws `WAL_BAD_KEY` when the ring does not have the key that the header names
   */
  constructor(directory: string, header: SegmentHeader, keyRing: KeyRing | undefined, file?: IoFile, closed?: Segment) {
    // Field by field, so that all segments have one shape.
    const end = closed === undefined ? header.blockBytes : blockEnd(closed.end, header.blockBytes);
    this.sparseIndex = closed?.sparseIndex ?? new SparseIndex();
    this.sessions = closed?.sessions ?? new Sessions();
    this.continuation = closed === undefined ? undefined : { closedEnd: closed.end, end, sessionId: undefined };
    this.header = header;
    this.path = join(directory, nameOf(header));
    this.seed = seedOf(header);
    this.keyRing = keyRing;
    this.cipher = header.encrypted ? SegmentCipher.forSegment(header, keyRing, this.path) : undefined;
    this.file = file;
    this.end = end;
    this.preallocatedEnd = end;
    this.nextLsn = closed?.nextLsn ?? header.firstLsn;
    this.#writtenEnd = this.end;
    this.#writtenNextLsn = this.nextLsn;
  }

  /** Records how far the file is written. */
  written(end: number, nextLsn: Lsn): void {
    this.#writtenEnd = end;
    this.#writtenNextLsn = nextLsn;
    this.sparseIndex.note(end, nextLsn);
  }

  /** The LSN behind the last record that was written. */
  get nextWrittenLsn(): Lsn {
    return this.#writtenNextLsn;
  }

  /** Whether everything encoded was written. */
  get isWritten(): boolean {
    return this.#writtenEnd === this.end;
  }

  /** The segment as far as it was written. */
  get asWritten(): Segment {
    const { header, path, sparseIndex, sessions } = this;
    return { header, path, end: this.#writtenEnd, nextLsn: this.#writtenNextLsn, sparseIndex, sessions };
  }

  /** Whether an earlier opening has closed it, and nothing was encoded behind that mark. */
  get isClosed(): boolean {
    return this.continuation !== undefined && this.end === this.continuation.end;
  }

  /** Discards everything encoded that was not written. */
  discardUnwritten(): void {
    this.end = this.#writtenEnd;
    this.nextLsn = this.#writtenNextLsn;
  }
}
