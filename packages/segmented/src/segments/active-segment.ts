import { join } from 'node:path';
import { type KeyRing, type Lsn, SegmentCipher, type SegmentHeader } from '@walstack/codec';
import { type Segment, SparseIndex, seedOf } from '@walstack/mmap-reader/segments';
import type { IoFile } from '@walstack/storage-io';
import { nameOf } from './segment.js';

/**
 * The segment that records go to. It begins as a plan in memory, so that `append` never waits; its file is made by the
 * next flush or sync.
 */
export class ActiveSegment implements Segment {
  readonly header: SegmentHeader;
  readonly path: string;
  readonly seed: number;
  readonly places = new SparseIndex();
  /** The keys that it was planned with. */
  readonly keyRing: KeyRing | undefined;
  /** `undefined` where records are not encrypted. */
  readonly cipher: SegmentCipher | undefined;
  /** `undefined` until the file is made. */
  file: IoFile | undefined;
  /** Offset behind the last byte encoded, padding included. */
  end: number;
  /** The LSN behind the last record encoded. */
  nextLsn: Lsn;
  /** The same two as they were when the last group was written. */
  #writtenEnd: number;
  #writtenNextLsn: Lsn;
  /** Whether the file has writes that no datasync has covered. */
  dirty = false;
  /** Up to here the file has blocks of its own; a multiple of the block size. */
  preparedEnd: number;
  /** The range whose blocks are being prepared: nothing else may be written there. */
  preparing: { readonly start: number; readonly end: number } | undefined;

  /** @throws `WAL_BAD_KEY` when the ring has not the key that the header names */
  constructor(directory: string, header: SegmentHeader, keyRing: KeyRing | undefined, file?: IoFile) {
    this.header = header;
    this.path = join(directory, nameOf(header));
    this.seed = seedOf(header);
    this.keyRing = keyRing;
    this.cipher = header.encrypted ? SegmentCipher.forSegment(header, keyRing, this.path) : undefined;
    this.file = file;
    this.end = header.blockBytes;
    this.preparedEnd = this.end;
    this.nextLsn = header.firstLsn;
    this.#writtenEnd = this.end;
    this.#writtenNextLsn = this.nextLsn;
  }

  /** Takes note of what was written. */
  written(end: number, nextLsn: Lsn): void {
    this.#writtenEnd = end;
    this.#writtenNextLsn = nextLsn;
    this.places.note(end, nextLsn);
  }

  /** Whether everything encoded was written. */
  get isWritten(): boolean {
    return this.#writtenEnd === this.end;
  }

  /** The segment as far as it was written. */
  get asWritten(): Segment {
    const { header, path, places } = this;
    return { header, path, end: this.#writtenEnd, nextLsn: this.#writtenNextLsn, places };
  }

  /** Goes back to what was written. */
  forgetUnwritten(): void {
    this.end = this.#writtenEnd;
    this.nextLsn = this.#writtenNextLsn;
  }
}
