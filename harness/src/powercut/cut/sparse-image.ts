import { closeSync, fstatSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';

const CHUNK_BYTES = 64 * 1024;
const CHUNKS_AT_ONCE = 16;
const ZEROS = Buffer.alloc(CHUNK_BYTES);

/** The image of a disk, mostly zeros: knows where there is something else, and so is copied in little time. */
export class SparseImage {
  readonly #file: number;
  readonly #bytes: number;
  /** By chunk, whether it may hold something else than zeros. */
  readonly #used: Uint8Array;

  private constructor(file: number, bytes: number, used: Uint8Array) {
    this.#file = file;
    this.#bytes = bytes;
    this.#used = used;
  }

  /** Opens one to change it. */
  static open(path: string): SparseImage {
    const file = openSync(path, 'r+');
    const bytes = fstatSync(file).size;
    const used = new Uint8Array(Math.ceil(bytes / CHUNK_BYTES));
    const chunk = Buffer.alloc(CHUNK_BYTES);
    for (let index = 0; index < used.length; index++) {
      const read = readSync(file, chunk, 0, CHUNK_BYTES, index * CHUNK_BYTES);
      if (chunk.compare(ZEROS, 0, read, 0, read) !== 0) used[index] = 1;
    }
    return new SparseImage(file, bytes, used);
  }

  get bytes(): number {
    return this.#bytes;
  }

  write(position: number, bytes: Uint8Array): void {
    writeSync(this.#file, bytes, 0, bytes.length, position);
    const last = Math.floor((position + bytes.length - 1) / CHUNK_BYTES);
    this.#used.fill(1, Math.floor(position / CHUNK_BYTES), last + 1);
  }

  /** Makes another one that is the same now. A file that is there already is replaced. */
  copyTo(path: string): SparseImage {
    const copy = openSync(path, 'w+');
    ftruncateSync(copy, this.#bytes);
    const buffer = Buffer.alloc(CHUNKS_AT_ONCE * CHUNK_BYTES);
    for (let from = 0; from < this.#used.length; ) {
      let to = from;
      while (to < this.#used.length && to - from < CHUNKS_AT_ONCE && this.#used[to] === 1) to++;
      if (to === from) {
        from++;
        continue;
      }
      const length = readSync(this.#file, buffer, 0, (to - from) * CHUNK_BYTES, from * CHUNK_BYTES);
      writeSync(copy, buffer, 0, length, from * CHUNK_BYTES);
      from = to;
    }
    return new SparseImage(copy, this.#bytes, this.#used.slice());
  }

  close(): void {
    closeSync(this.#file);
  }
}
