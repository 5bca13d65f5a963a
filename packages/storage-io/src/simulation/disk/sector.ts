import { crc32c } from '@walstack/codec';

/** The size of a sector in bytes, which a disk writes completely or not at all. */
export const SECTOR_BYTES = 512;

const ZEROS = new Uint8Array(SECTOR_BYTES);
const ZEROS_SUM = crc32c(ZEROS);

/** The content of one sector; `undefined` means zeros. It is immutable: files and disks share it. */
export class Sector {
  readonly #source: Uint8Array;
  readonly #start: number;
  #sum: number | undefined;

  /**
   * @param source - contains the bytes, and must not change any more
   * @param start - where the 512 bytes begin in it
   */
  constructor(source: Uint8Array, start: number) {
    this.#source = source;
    this.#start = start;
  }

  /** Copies a part of the content. */
  copyInto(into: Uint8Array, at: number, from: number, length: number): void {
    const start = this.#start + from;
    into.set(this.#source.subarray(start, start + length), at);
  }

  /** A checksum of the content. */
  get sum(): number {
    this.#sum ??= crc32c(this.#source.subarray(this.#start, this.#start + SECTOR_BYTES));
    return this.#sum;
  }
}

/** The checksum of a content. */
export const sumOf = (sector: Sector | undefined): number => (sector === undefined ? ZEROS_SUM : sector.sum);

/** A new content: `sector` with `data` at an offset in it. */
export function overwritten(sector: Sector | undefined, data: Uint8Array, at: number): Sector {
  const bytes = new Uint8Array(SECTOR_BYTES);
  sector?.copyInto(bytes, 0, 0, SECTOR_BYTES);
  bytes.set(data, at);
  return new Sector(bytes, 0);
}

/** A new content: the first `length` bytes of `sector`, and zeros. */
export function cutOff(sector: Sector | undefined, length: number): Sector | undefined {
  if (sector === undefined || length === 0) return undefined;
  const bytes = new Uint8Array(SECTOR_BYTES);
  sector.copyInto(bytes, 0, 0, length);
  return new Sector(bytes, 0);
}
