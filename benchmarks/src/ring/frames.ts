import { readFileSync } from 'node:fs';
import { FRAME_HEADER_BYTES, scanFrames, sealFrames, UNSALTED_SEED } from '@walstack/codec';
import { allocateAligned } from '@walstack/native';

export const BLOCK_BYTES = 4096;

/** Bytes in front of a payload: the header of the frame, and that of the record. */
const HEADER_BYTES = 32;

/**
 * Memory in which records get the frames that a log gives them, written word by word: the length of a payload must be a
 * multiple of 4. It is aligned for direct I/O, and written from the start of a block.
 */
export class FrameBuffer {
  readonly #bytes: Uint8Array;
  readonly #words: Uint32Array;
  #end = 0;

  constructor(capacity: number) {
    this.#bytes = allocateAligned(Math.ceil(capacity / BLOCK_BYTES) * BLOCK_BYTES, BLOCK_BYTES);
    this.#words = new Uint32Array(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length / 4);
  }

  /** Where the last frame ends. */
  get end(): number {
    return this.#end;
  }

  /** @returns `false` when there is no room, and nothing was added */
  add(payload: Uint8Array, lsn: number): boolean {
    let start = this.#end;
    const words = this.#words;
    const left = BLOCK_BYTES - (start & (BLOCK_BYTES - 1));
    // The header of a frame lies in one block.
    if (left < FRAME_HEADER_BYTES) {
      words[start >> 2] = 0;
      start += left;
    }
    const end = start + HEADER_BYTES + payload.length;
    if (end > this.#bytes.length) return false;
    const word = start >> 2;
    words[word] = HEADER_BYTES - FRAME_HEADER_BYTES + payload.length;
    words[word + 1] = 0;
    words[word + 2] = lsn;
    words[word + 3] = 0;
    words[word + 4] = 0;
    words[word + 5] = lsn;
    words[word + 6] = 0;
    words[word + 7] = 0;
    this.#bytes.set(payload, start + HEADER_BYTES);
    this.#end = end;
    return true;
  }

  /** Fills the last block with zeros and in the checksums. @returns what is to be written */
  sealed(): Uint8Array {
    const end = Math.ceil(this.#end / BLOCK_BYTES) * BLOCK_BYTES;
    this.#bytes.fill(0, this.#end, end);
    sealFrames(this.#bytes, 0, end, 0, BLOCK_BYTES, UNSALTED_SEED);
    return this.#bytes.subarray(0, end);
  }

  clear(): void {
    this.#end = 0;
  }
}

const OFFSETS = new Uint32Array(65_536);

/** Reads back what is in a file: every payload up to where the frames end, verified, with its LSN. */
export function forEachFrame(path: string, f: (payload: Uint8Array, lsn: number) => void): void {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let position = 0; position < bytes.length; ) {
    const count = scanFrames(bytes, position, bytes.length, position, BLOCK_BYTES, UNSALTED_SEED, OFFSETS);
    for (let index = 0; index < count; index++) {
      const offset = OFFSETS[index] as number;
      const end = offset + FRAME_HEADER_BYTES + view.getUint32(offset, true);
      f(bytes.subarray(offset + HEADER_BYTES, end), view.getUint32(offset + 8, true));
    }
    position = OFFSETS[count] ?? bytes.length;
    // It stops early where the frames end.
    if (count < OFFSETS.length - 1) break;
  }
}
