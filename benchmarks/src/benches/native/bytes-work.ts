import { crc32c, frameStart, recordFrameBytes, scanFrames, sealFrames, writeRecordHeader } from '@walstack/codec';
import { RECORD_BYTES } from '../../payloads/records.js';

/** What is done to bytes in memory; `native/bytes_loop.cc` does the same. */
export type BytesWork = 'crc32c' | 'crc32c-100' | 'seal' | 'append-seal' | 'scan';

const ARENA_BYTES = 1 << 20;
const BLOCK_BYTES = 4096;
const SEED = 0x1234_5678;
const FRAME_BYTES = recordFrameBytes(RECORD_BYTES, 0, false);

/** Frames one behind the other, as a log lays them out before it writes them. */
class Arena {
  readonly bytes = new Uint8Array(ARENA_BYTES);
  readonly #view = new DataView(this.bytes.buffer);
  readonly #payload = new Uint8Array(RECORD_BYTES).fill(0x77);
  readonly #offsets = new Uint32Array(ARENA_BYTES / FRAME_BYTES + 1);
  records = 0;
  #end = 0;

  append(): void {
    this.records = 0;
    let at = 0;
    for (;;) {
      const start = frameStart(at, BLOCK_BYTES);
      if (start + FRAME_BYTES > ARENA_BYTES) break;
      if (start > at) this.bytes.fill(0, at, start);
      this.records++;
      writeRecordHeader(this.#view, start, FRAME_BYTES, this.records, 1, 0, 0, 0, 0, 5);
      this.bytes.set(this.#payload, start + FRAME_BYTES - RECORD_BYTES);
      at = start + FRAME_BYTES;
    }
    this.#end = at;
  }

  seal(): number {
    return this.#whole(sealFrames(this.bytes, 0, this.#end, 0, BLOCK_BYTES, SEED));
  }

  scan(): number {
    return this.#whole(scanFrames(this.bytes, 0, this.#end, 0, BLOCK_BYTES, SEED, this.#offsets));
  }

  #whole(count: number): number {
    if (count !== this.records) throw new Error(`${this.records} records are there, ${count} were found`);
    return count;
  }
}

/** Does a part of the work each time it is called, checks it, and returns how much it was: bytes, or records. */
function partOf(work: BytesWork): () => number {
  const arena = new Arena();
  arena.append();
  switch (work) {
    case 'crc32c':
      return checksums(arena.bytes, 65_536, 16);
    case 'crc32c-100':
      return checksums(arena.bytes, 100, 10_000);
    case 'seal':
      return () => arena.seal();
    case 'append-seal':
      return () => {
        arena.append();
        return arena.seal();
      };
    case 'scan':
      arena.seal();
      return () => arena.scan();
  }
}

function checksums(bytes: Uint8Array, length: number, times: number): () => number {
  const expected = crc32c(bytes, 0, 0, length);
  return () => {
    for (let time = 0; time < times; time++) {
      if (crc32c(bytes, 0, 0, length) !== expected) throw new Error('a checksum is wrong');
    }
    return length * times;
  };
}

/** Does a work for about so long. @returns bytes or records a second */
export function doBytesWork(work: BytesWork, durationMs: number): number {
  const part = partOf(work);
  const perSecond = (duration: number): number => {
    const start = performance.now();
    let done = 0;
    let passed = 0;
    do {
      done += part();
      passed = performance.now() - start;
    } while (passed < duration);
    return (done / passed) * 1000;
  };
  // For the compiler to get warm.
  perSecond(durationMs / 5);
  return perSecond(durationMs);
}
