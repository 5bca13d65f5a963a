import { crc32c, FRAME_HEADER_BYTES, type Lsn, MARK_FRAME_BYTES } from '@walstack/codec';
import { crc32cOfPrefixes, findDurabilityProof } from '@walstack/codec/internal';
import { type IoFile, type IoRoutine, ioSteps, type StorageIo } from '@walstack/storage-io';
import { isTurnDue, TURN } from '@walstack/storage-io/internal';
import type { Segment } from '../chain/segment.js';
import { seedOf } from '../chain/segment.js';
import { FrameClaims } from './frame-claims.js';

/** Bytes that are examined in one step. */
const STEP_BYTES = 256 * 1024;

/** Bytes read beyond a step, so that a frame header and record header that begin in it are whole. */
const OVERLAP_BYTES = MARK_FRAME_BYTES - 1;

/**
 * Bounds the number of claims, candidate frames whose checksums are not verified yet: one per `BYTES_PER_CLAIM` bytes
 * after the unreadable frame, within limits. A file constructed to have more is read several times, but at most as
 * often as frames could start in that many bytes.
 */
const BYTES_PER_CLAIM = 128;
const CLAIMS_MIN = 16_384;
const CLAIMS_MAX = 4 * 1024 * 1024;

/** What was found after the last readable frame of a segment. */
export interface TailScan {
  /** Offset of a valid frame that proves durable something that would be dropped. */
  readonly proofOffset: number | undefined;
  /** Whether there is anything but zeros. */
  readonly dirty: boolean;
}

/**
 * Searches every byte after the last readable frame of a segment for a valid frame that proves an LSN durable that
 * would be dropped: after an unreadable frame the next one can start anywhere. The work is linear in the size of the
 * file, whatever its content.
 *
 * @param size - the size of the file
 * @param droppedFrom - the first LSN that would be dropped: the segment's next one, or the first one of a batch that is
 * incomplete
 * @param reached - called with each position in the file that is reached
 */
export function* scanTail(
  io: StorageIo,
  file: IoFile,
  segment: Segment,
  size: number,
  droppedFrom: Lsn = segment.nextLsn,
  reached: (position: number) => void = () => {},
): IoRoutine<TailScan> {
  const search = new TailScanner(io, file, segment, size, droppedFrom, reached);
  return yield* search.run();
}

class TailScanner {
  readonly #io: StorageIo;
  readonly #file: IoFile;
  readonly #from: number;
  readonly #size: number;
  readonly #seed: number;
  readonly #lsn: Lsn;
  readonly #lastLsn: Lsn;
  readonly #room: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #reached: (position: number) => void;
  /** Offsets at which frames may start, judging by their fields. */
  readonly #candidates: number[] = [];
  /** The running checksum after each of the bytes: computed when a frame may start or end among them. */
  #prefixes: Uint32Array | undefined;
  #dirty = false;

  constructor(
    io: StorageIo,
    file: IoFile,
    segment: Segment,
    size: number,
    droppedFrom: Lsn,
    reached: (position: number) => void,
  ) {
    const left = Math.max(0, size - segment.end);
    this.#io = io;
    this.#file = file;
    this.#reached = reached;
    this.#from = segment.end;
    this.#size = size;
    this.#seed = seedOf(segment.header);
    this.#lsn = droppedFrom;
    this.#lastLsn = segment.nextLsn + Math.floor(left / MARK_FRAME_BYTES);
    this.#room = Math.min(CLAIMS_MAX, Math.max(CLAIMS_MIN, Math.ceil(left / BYTES_PER_CLAIM)));
    this.#bytes = new Uint8Array(Math.max(MARK_FRAME_BYTES, Math.min(left, STEP_BYTES + OVERLAP_BYTES)));
    this.#view = new DataView(this.#bytes.buffer);
  }

  *run(): IoRoutine<TailScan> {
    for (let from = this.#from; from < this.#size; ) {
      const { proofOffset, next } = yield* this.#searchFrom(from);
      if (proofOffset !== undefined) return { proofOffset, dirty: true };
      from = next;
    }
    return { proofOffset: undefined, dirty: this.#dirty };
  }

  /**
   * Searches for frames that start from here on, as many as there is room for, and reads until all of them have ended.
   *
   * @returns where to continue when there are more
   */
  *#searchFrom(from: number): IoRoutine<{ readonly proofOffset: number | undefined; readonly next: number }> {
    const claims = new FrameClaims(from, this.#size, STEP_BYTES, this.#room);
    let next = this.#size;
    let running = 0;
    for (let position = from; position < this.#size; position += STEP_BYTES) {
      if (isTurnDue()) yield TURN;
      this.#reached(position);
      const filled = yield* ioSteps.read(this.#io, this.#file, this.#bytes, position);
      this.#dirty ||= !isZero(this.#bytes, filled);
      this.#candidates.length = 0;
      if (next === this.#size && this.#dirty) next = this.#findCandidates(position, filled, claims.room);
      if (this.#candidates.length > 0 || claims.endsIn(position)) {
        const prefixes = this.#computePrefixes(running, filled);
        for (const at of this.#candidates) this.#claim(claims, position, at, prefixes);
        const proofOffset = claims.verifyStep(position, prefixes);
        if (proofOffset !== undefined) return { proofOffset, next };
        running = prefixes[Math.min(STEP_BYTES, filled)] as number;
      } else if (!claims.isEmpty) {
        running = crc32c(this.#bytes, running, 0, Math.min(STEP_BYTES, filled));
      }
      // The file may have been truncated by its writer meanwhile.
      const isShorter = filled < Math.min(this.#bytes.length, this.#size - position);
      if (isShorter || (next < this.#size && claims.isEmpty)) break;
    }
    return { proofOffset: undefined, next };
  }

  /** Finds where frames may start, judging by their fields. @returns the position of the first one without room for a claim */
  #findCandidates(position: number, filled: number, room: number): number {
    const candidates = this.#candidates;
    for (let at = 0; ; at++) {
      at = findDurabilityProof(this.#bytes, at, filled, this.#size - position - at, this.#lsn, this.#lastLsn);
      if (at === -1) return this.#size;
      if (candidates.length === room) return position + at;
      candidates.push(at);
    }
  }

  #computePrefixes(running: number, filled: number): Uint32Array {
    this.#prefixes ??= new Uint32Array(this.#bytes.length + 1);
    const prefixes = this.#prefixes.subarray(0, filled + 1);
    crc32cOfPrefixes(this.#bytes, running, 0, filled, prefixes);
    return prefixes;
  }

  #claim(claims: FrameClaims, position: number, at: number, prefixes: Uint32Array): void {
    const data = at + FRAME_HEADER_BYTES;
    const length = this.#view.getUint32(at, true);
    const checksum = this.#view.getUint32(at + 4, true);
    const end = position + data + length;
    claims.add(position + at, position + data, end, checksum, this.#seed, prefixes[data] as number);
  }
}

function isZero(bytes: Uint8Array, length: number): boolean {
  for (let index = 0; index < length; index++) if (bytes[index] !== 0) return false;
  return true;
}
