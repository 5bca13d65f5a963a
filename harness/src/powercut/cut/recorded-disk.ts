import { type DiskEvent, SECTOR_BYTES } from '../record/events.js';
import type { SparseImage } from './sparse-image.js';

/** A write of a record. */
export interface RecordedWrite {
  /** Those with higher numbers were submitted later. */
  readonly id: number;
  readonly sector: number;
  readonly sectors: number;
  readonly bytes: Uint8Array;
}

/** Sectors of a write, counted from its first one. */
export interface Piece {
  readonly write: RecordedWrite;
  readonly from: number;
  readonly count: number;
}

/** What a disk does of what it is asked for. */
export interface Honours {
  /** A flush makes durable what was written before it. */
  readonly flush: boolean;
  /** A write with FUA is durable when it is done. */
  readonly fua: boolean;
}

interface Volatile extends RecordedWrite {
  readonly fua: boolean;
  /** When the disk said that it was written, by the number of the event; `Infinity` while it has not. */
  doneAt: number;
}

/**
 * The disk of a record, at one moment of it after the other: what is durable is in an image, and what is not, writes in
 * flight included, is listed.
 *
 * A flush makes durable what the disk had said was written when the flush was submitted, and nothing more.
 */
export class RecordedDisk {
  readonly #events: readonly DiskEvent[];
  readonly #bytesAt: (offset: number, length: number) => Uint8Array;
  readonly #image: SparseImage;
  readonly #honours: Honours;
  /** In the order of submission. */
  readonly #volatile = new Map<number, Volatile>();
  /** By its number, at which event a flush was submitted. */
  readonly #flushes = new Map<number, number>();
  /** By sector, the number of the write behind the last durable one. */
  readonly #durable: Uint32Array;
  #position = 0;

  /**
   * @param image - of the disk when the record begins; it changes
   * @param bytesAt - bytes that the record keeps
   */
  constructor(
    events: readonly DiskEvent[],
    bytesAt: (offset: number, length: number) => Uint8Array,
    image: SparseImage,
    honours: Honours = { flush: true, fua: true },
  ) {
    this.#events = events;
    this.#bytesAt = bytesAt;
    this.#image = image;
    this.#honours = honours;
    this.#durable = new Uint32Array(image.bytes / SECTOR_BYTES);
  }

  /** Writes that a power cut may take back as a whole or in part, in the order of their submission. */
  get volatile(): readonly RecordedWrite[] {
    return [...this.#volatile.values()];
  }

  /** Goes on to the moment before the event with this number. It never goes back. */
  advance(to: number): void {
    if (to < this.#position) throw new RangeError(`the disk is at event ${this.#position}, behind ${to}`);
    for (; this.#position < to; this.#position++) this.#take(this.#events[this.#position] as DiskEvent);
  }

  /** Makes the image of this disk when the power is cut now and these pieces survive. */
  cut(path: string, survivors: readonly Piece[]): void {
    const image = this.#image.copyTo(path);
    for (const piece of survivors) this.#lay(piece, image);
    image.close();
  }

  #take(event: DiskEvent): void {
    switch (event.what) {
      case 'write': {
        const { id, sector, sectors, fua, offset } = event;
        const bytes = this.#bytesAt(offset, sectors * SECTOR_BYTES);
        this.#volatile.set(id, { id, sector, sectors, bytes, fua, doneAt: Number.POSITIVE_INFINITY });
        return;
      }
      case 'flush':
        this.#flushes.set(event.id, this.#position);
        return;
      case 'done':
        this.#done(event.id);
        return;
      case 'report':
    }
  }

  #done(id: number): void {
    const write = this.#volatile.get(id);
    if (write !== undefined) {
      write.doneAt = this.#position;
      if (write.fua && this.#honours.fua) this.#makeDurable(write);
      return;
    }
    const submittedAt = this.#flushes.get(id) ?? Number.NEGATIVE_INFINITY;
    this.#flushes.delete(id);
    if (!this.#honours.flush) return;
    for (const each of [...this.#volatile.values()]) if (each.doneAt < submittedAt) this.#makeDurable(each);
  }

  #makeDurable(write: Volatile): void {
    this.#volatile.delete(write.id);
    this.#lay({ write, from: 0, count: write.sectors }, this.#image);
    for (let index = 0; index < write.sectors; index++) {
      const sector = write.sector + index;
      this.#durable[sector] = Math.max(this.#durable[sector] ?? 0, write.id + 1);
    }
  }

  /** Where a later write is durable already, an earlier one changes nothing. */
  #lay({ write, from, count }: Piece, image: SparseImage): void {
    const isNewer = (index: number): boolean => (this.#durable[write.sector + index] ?? 0) <= write.id;
    for (let index = from; index < from + count; ) {
      let end = index;
      while (end < from + count && isNewer(end)) end++;
      if (end > index) {
        const bytes = write.bytes.subarray(index * SECTOR_BYTES, end * SECTOR_BYTES);
        image.write((write.sector + index) * SECTOR_BYTES, bytes);
      }
      index = end + 1;
    }
  }
}
