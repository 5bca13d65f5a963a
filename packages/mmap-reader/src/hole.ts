import { crc32c, FRAME_HEADER_BYTES, findEvidence, type Lsn, MARK_FRAME_BYTES } from '@walstack/codec';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { checksumOf } from './checksum.js';
import { corruption } from './corruption.js';
import type { Segment } from './segment.js';
import { seedOf } from './segment.js';

const CHUNK_BYTES = 256 * 1024;

/** How many times the bytes behind a hole may be read for checksums, before the file counts as hostile. */
const BUDGET_FACTOR = 16;

/** What stands behind the last readable frame of a segment. */
export interface Behind {
  /** Offset of a valid frame which proves that the first LSN that cannot be read had been durable. */
  readonly evidenceOffset: number | undefined;
  /** Whether there is anything but zeros. */
  readonly dirty: boolean;
}

/**
 * Looks at every byte behind the last readable frame of a segment for a valid frame that proves an LSN ≥ the next one
 * durable: after a hole the next frame can start anywhere.
 *
 * @param size - bytes of the file
 * @throws `WAL_CORRUPT` when the search exhausts its budget, which only a hostile file makes it do
 */
export function* lookBehind(io: StorageIo, file: IoFile, segment: Segment, size: number): IoRoutine<Behind> {
  const search = new EvidenceSearch(io, file, segment, size);
  return yield* search.run();
}

class EvidenceSearch {
  readonly #io: StorageIo;
  readonly #file: IoFile;
  readonly #segment: Segment;
  readonly #size: number;
  readonly #seed: number;
  readonly #lsn: Lsn;
  readonly #lastLsn: Lsn;
  readonly #chunk: Uint8Array;
  #budget: number;
  #dirty = false;

  constructor(io: StorageIo, file: IoFile, segment: Segment, size: number) {
    const left = size - segment.end;
    this.#io = io;
    this.#file = file;
    this.#segment = segment;
    this.#size = size;
    this.#seed = seedOf(segment.header);
    this.#lsn = segment.nextLsn;
    this.#lastLsn = segment.nextLsn + Math.floor(left / MARK_FRAME_BYTES);
    this.#chunk = new Uint8Array(Math.max(MARK_FRAME_BYTES, Math.min(left, CHUNK_BYTES)));
    this.#budget = BUDGET_FACTOR * left;
  }

  *run(): IoRoutine<Behind> {
    // Chunks overlap, so that every 32 bytes stand together in one of them.
    const overlap = MARK_FRAME_BYTES - 1;
    for (let position = this.#segment.end; position < this.#size; ) {
      const filled = yield* ioSteps.read(this.#io, this.#file, this.#chunk, position);
      this.#dirty ||= !isZero(this.#chunk, filled);
      const evidenceOffset = this.#dirty ? yield* this.#searchChunk(position, filled) : undefined;
      if (evidenceOffset !== undefined) return { evidenceOffset, dirty: true };
      if (filled < this.#chunk.length || filled <= overlap) break;
      position += filled - overlap;
    }
    return { evidenceOffset: undefined, dirty: this.#dirty };
  }

  *#searchChunk(position: number, filled: number): IoRoutine<number | undefined> {
    const chunk = this.#chunk;
    for (let at = 0; ; at++) {
      at = findEvidence(chunk, at, filled, this.#size - position - at, this.#lsn, this.#lastLsn);
      if (at === -1) return undefined;
      if (yield* this.#isFrame(position, at, filled)) return position + at;
    }
  }

  /** Whether the checksum of the frame at `at` in the chunk is right. */
  *#isFrame(position: number, at: number, filled: number): IoRoutine<boolean> {
    const view = new DataView(this.#chunk.buffer);
    const length = view.getUint32(at, true);
    const expected = view.getUint32(at + 4, true);
    const start = at + FRAME_HEADER_BYTES;
    this.#budget -= length;
    if (this.#budget < 0) {
      throw corruption(
        this.#file.path,
        'evidence-budget',
        `behind offset ${this.#segment.end} stand more false frames than a crash leaves`,
        { offset: this.#segment.end, lsn: this.#lsn },
      );
    }
    if (start + length <= filled) return crc32c(this.#chunk, this.#seed, start, start + length) === expected;
    const found = yield* checksumOf(this.#io, this.#file, position + start, length, this.#seed);
    return found === expected;
  }
}

function isZero(bytes: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[index] !== 0) return false;
  return true;
}
