import { join } from 'node:path';
import { type KeyRing, type Lsn, SegmentCipher, type SegmentHeader } from '@walstack/codec';
import { type Segment, SparseIndex, seedOf } from '@walstack/mmap-reader/internal';
import type { IoFile } from '@walstack/storage-io';
import { nameOf } from './segment.js';

/**
 * The segment that records are appended to. It begins as a plan in memory, so that `append` never waits; the next flush
 * or sync creates its file.
 */
export class ActiveSegment implements Segment {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly seed: number;
  readonly sparseIndex = new SparseIndex();
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

  /** @throws `WAL_BAD_KEY` when the ring does not have the key that the header names */
  constructor(directory: string, header: SegmentHeader, keyRing: KeyRing | undefined, file?: IoFile) {
    this.header = header;
    this.path = join(directory, nameOf(header));
    this.seed = seedOf(header);
    this.keyRing = keyRing;
    this.cipher = header.encrypted ? SegmentCipher.forSegment(header, keyRing, this.path) : undefined;
    this.file = file;
    this.end = header.blockBytes;
    this.preallocatedEnd = this.end;
    this.nextLsn = header.firstLsn;
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
    const { header, path, sparseIndex } = this;
    return { header, path, end: this.#writtenEnd, nextLsn: this.#writtenNextLsn, sparseIndex };
  }

  /** Discards everything encoded that was not written. */
  discardUnwritten(): void {
    this.end = this.#writtenEnd;
    this.nextLsn = this.#writtenNextLsn;
  }
}
