import { type Lsn, type PayloadDecoder, WalError } from '@walstack/codec';
import type { WalProgress } from '@walstack/mmap-reader';
import {
  type Demands,
  type Frames,
  lostRecord,
  makeSegmentDecoder,
  openSealed,
  openStreamed,
  type Segment,
  type SegmentWalk,
  truncated,
  type WalkPolicy,
} from '@walstack/mmap-reader/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { arrayFrom, type Segments } from '../segments/segment-list.js';
import { cutWhileReading, type EarlyEnd } from './early-end.js';

/** Which segments are read: a range of a log as it was at one moment. */
export interface SegmentsPlan {
  /** From the oldest to the newest; the first holds `from`. */
  readonly segments: Segments;
  /** How many of them are not written to any more. */
  readonly sealed: number;
  readonly from: Lsn;
  /** The last record to be read. */
  readonly to: Lsn;
  /** How records are decrypted and decompressed. */
  readonly decoding: Demands;
  /** Whether the call blocks, so that it cannot await a key service. */
  readonly blocking: boolean;
  /** The log's first LSN now: it moves when the log is truncated. */
  readonly firstLsn: () => Lsn;
  /** Whether another process may be writing the log: segments may be removed at any time. */
  readonly isBesideWriter: boolean;
}

/**
 * The segments of a reading of an open log: those that the log had when the reading began, each up to where it was written
 * then. A record that cannot be read was removed since, which the log says, or is lost.
 */
export class PlannedSegments implements WalkPolicy {
  readonly #io: StorageIo;
  readonly #plan: SegmentsPlan;
  readonly #walk: SegmentWalk;
  readonly #end: EarlyEnd;
  /** The segment to be read next. */
  #index = 0;
  /** Segments that were counted as read, and their bytes. */
  #counted = 0;
  #countedBytes = 0;
  /** The bytes of all segments; `undefined` before they were asked for. */
  #totalBytes: number | undefined;

  constructor(io: StorageIo, plan: SegmentsPlan, walk: SegmentWalk, end: EarlyEnd) {
    this.#io = io;
    this.#plan = plan;
    this.#walk = walk;
    this.#end = end;
  }

  /** How far it is: counted when it is asked for. */
  get progress(): WalProgress {
    const { segments, from } = this.#plan;
    const { frames, nextLsn } = this.#walk;
    this.#totalBytes ??= this.#sizes();
    const read = frames === undefined ? this.#index : this.#index - 1;
    while (this.#counted < read) this.#countedBytes += segments.at(this.#counted++)?.end ?? 0;
    const here = frames === undefined ? 0 : frames.base + frames.stop;
    const bytes = Math.min(this.#countedBytes + here, this.#totalBytes);
    return { phase: 'read', bytes, totalBytes: this.#totalBytes, records: Math.max(0, nextLsn - from) };
  }

  #sizes(): number {
    const { segments, to } = this.#plan;
    let bytes = 0;
    for (let index = 0; index < segments.length; index++) {
      const segment = segments.at(index);
      if (segment !== undefined && segment.header.firstLsn <= to) bytes += segment.end;
    }
    return bytes;
  }

  beforeStep(): void {
    const { reason } = this.#end.watch;
    if (reason !== undefined) throw reason;
  }

  *enterNext(): IoRoutine<boolean> {
    const { segments, sealed, from, to, firstLsn, isBesideWriter } = this.#plan;
    const segment = segments.at(this.#index);
    if (segment === undefined || segment.header.firstLsn > to) return false;
    const open = this.#index < sealed ? openSealed : openStreamed;
    this.#index++;
    try {
      const decoder = yield* this.#makeDecoder(segment);
      const range = { ...segment.sparseIndex?.before(from), limit: segment.end };
      this.#walk.enter(yield* open(this.#io, segment, range), decoder);
      this.#walk.lastOfSegment = segment.nextLsn - 1;
      this.#walk.until = Math.min(segment.nextLsn - 1, to);
    } catch (error) {
      const first = firstLsn();
      if (!WalError.is(error)) throw error;
      if (first > segment.header.firstLsn) throw truncated(segment.header.firstLsn, first);
      if (isBesideWriter && error.code === 'WAL_NOT_FOUND') throw cutWhileReading(segment.header.firstLsn - 1, first);
      throw error;
    }
    return true;
  }

  // biome-ignore lint/correctness/useYield: a routine as in other policies, but it has nothing to wait for.
  *onUnreadable({ path, end, nextLsn }: Frames): IoRoutine<boolean> {
    const firstLsn = this.#plan.firstLsn();
    // The file was freed meanwhile, and is overwritten as another segment.
    if (nextLsn < firstLsn) throw truncated(nextLsn, firstLsn);
    throw lostRecord(path, end, nextLsn, 'hole', `the log has records up to ${this.#walk.until} there`);
  }

  // biome-ignore lint/correctness/useYield: a routine as in other policies, but it has nothing to wait for.
  *onEnd(): IoRoutine<boolean> {
    this.#walk.leave();
    return true;
  }

  /** Makes the decoder of a segment's records. */
  *#makeDecoder(segment: Segment): IoRoutine<PayloadDecoder> {
    const { decoding, blocking, segments } = this.#plan;
    // Needed only when there may be a key service to wait for: most readings are short and of logs without keys.
    const signal = decoding.keyRing === undefined || blocking ? undefined : this.#end.signal;
    // If it is not known from which LSN on the log is encrypted, the segments up to its end have to prove it.
    const links = decoding.encryptedFrom?.() === undefined ? arrayFrom(segments, this.#index - 1) : [segment];
    return (yield* makeSegmentDecoder(this.#io, links, segment.nextLsn, decoding, blocking, signal)).decoder;
  }
}
