import { type Checkpoint, type Lsn, type PayloadDecoder, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { ReadFrom } from '../chain/behind-checkpoint.js';
import type { Link } from '../chain/chain.js';
import { readChainBesideWriter, readChainFrom } from '../chain/chain-beside-writer.js';
import { cutWhileRead, lostRecord, provenByCheckpoint, recycled, truncated } from '../chain/chain-errors.js';
import type { FrameScanner } from '../frames/frame-scanner.js';
import { FrameSummary } from '../frames/frame-summary.js';
import type { Frames } from '../frames/frames.js';
import { openSealed, openStreamed } from '../frames/open-scanner.js';
import type { ScanAhead } from '../parallel-scan/scan-ahead.js';
import type { DecodingSettings } from '../records/decoding.js';
import type { CallWatch, LongCallOptions } from '../walk/call-watch.js';
import { makeSegmentDecoder } from '../walk/segment-decoder.js';
import type { SegmentWalk, WalkPolicy } from '../walk/segment-walk.js';
import { ActiveTail } from './active-tail.js';
import { findCut } from './follower-cut-detection.js';
import { ReplayCount, type ReplayProgress } from './replay-progress.js';
import { lastReadIn } from './resume-point.js';

/** Which segments of a directory are read, and how. */
export interface ReplayPlan {
  readonly directory: string;
  readonly from: ReadFrom;
  readonly to: Lsn;
  readonly decoding: DecodingSettings;
  /** Whether there is no waiting for a key service. */
  readonly blocking: boolean;
  readonly call: LongCallOptions<ReplayProgress>;
  /** Makes the scanner that finds frames of sealed segments ahead, in other threads. */
  readonly ahead: ((links: readonly Link[]) => ScanAhead) | undefined;
}

/**
 * The segments of a replay: the chain of the directory as it was at the beginning, up to the last whole batch of the
 * segment that was the newest one then. Where one cannot be read the replay ends with the reason: the log is damaged, or
 * its writer has removed or cut off the record meanwhile.
 */
export class ReplayedSegments implements WalkPolicy {
  readonly #io: StorageIo;
  readonly #plan: ReplayPlan;
  readonly #walk: SegmentWalk;
  #links: readonly Link[] | undefined;
  #checkpoint: Checkpoint | undefined;
  /** The first LSN wanted. */
  #from: Lsn = 0;
  #ahead: ScanAhead | undefined;
  readonly #watch: CallWatch<ReplayProgress> | undefined;
  readonly #count = new ReplayCount();
  /** The segment to be read next. */
  #index = 0;
  /** Whether the frames of the current segment are found by another thread. */
  #isScannedAhead = false;

  constructor(io: StorageIo, plan: ReplayPlan, walk: SegmentWalk, watch: CallWatch<ReplayProgress> | undefined) {
    this.#io = io;
    this.#plan = plan;
    this.#walk = walk;
    this.#watch = watch;
  }

  /** How far it is. */
  get progress(): ReplayProgress {
    return this.#count.value;
  }

  /** Whether the segments are known, and the first LSN wanted. */
  get isPlaced(): boolean {
    return this.#links !== undefined;
  }

  beforeStep(): void {
    this.#watch?.throwIfEnded();
  }

  *enterNext(): IoRoutine<boolean> {
    const links = this.#links ?? (yield* this.#begin());
    const link = links[this.#index];
    const { to } = this.#plan;
    if (link === undefined || link.header.firstLsn > to) return false;
    const successor = links[++this.#index];
    try {
      const decoder = yield* this.#makeDecoder(successor);
      if (successor === undefined) yield* this.#enterNewest(link, decoder);
      else {
        const aheadScanner = this.#ahead?.scanner(this.#index - 1);
        this.#isScannedAhead = aheadScanner !== undefined;
        this.#walk.enter(aheadScanner ?? (yield* openSealed(this.#io, link)), decoder);
        this.#walk.lastOfSegment = successor.header.firstLsn - 1;
        this.#walk.until = Math.min(this.#walk.lastOfSegment, to);
      }
    } catch (error) {
      if (WalError.is(error, 'WAL_ABORTED')) throw error;
      // The error may be about a record of a later segment.
      const { lsn = 0 } = WalError.is(error) ? error : {};
      const last = successor === undefined ? lsn : Math.min(lsn, successor.header.firstLsn - 1);
      throw yield* this.#explained(error, Math.max(last, link.header.firstLsn));
    }
    if (this.#from > link.header.firstLsn) yield* this.#seek(this.#from);
    return true;
  }

  onFound(frames: Frames): void {
    this.#count.pieceRead(frames.nextLsn - 1, frames.base + frames.stop);
  }

  *onUnreadable(frames: Frames): IoRoutine<boolean> {
    if (!this.#isScannedAhead) throw yield* this.#unreadable(frames);
    yield* this.#continueHere(frames);
    return true;
  }

  // biome-ignore lint/correctness/useYield: a routine as in other policies, but it has nothing to wait for.
  *onEnd(frames: Frames): IoRoutine<boolean> {
    this.#walk.leave();
    this.#count.segmentRead(frames.nextLsn - 1);
    return true;
  }

  /** Ends the threads that scan ahead. Idempotent. */
  close(): void {
    this.#ahead?.close();
    this.#ahead = undefined;
  }

  /** Finds the segments, from the one that contains the first record on. */
  *#begin(): IoRoutine<readonly Link[]> {
    const { directory, from, ahead } = this.#plan;
    const { links, checkpoint, firstWanted } = yield* readChainFrom(this.#io, directory, from);
    this.#from = firstWanted;
    this.#walk.nextLsn = firstWanted;
    this.#checkpoint = checkpoint;
    this.#links = links;
    if (this.#watch?.isReported === true) yield* this.#count.begin(this.#io, links, firstWanted);
    this.#ahead = ahead?.(links.slice(0, -1));
    return links;
  }

  /** Makes the decoder of the current segment's records. */
  *#makeDecoder(successor: Link | undefined): IoRoutine<PayloadDecoder> {
    const { decoding, blocking } = this.#plan;
    const links = (this.#links as readonly Link[]).slice(this.#index - 1);
    const endLsn = successor?.header.firstLsn ?? Number.MAX_SAFE_INTEGER;
    return (yield* makeSegmentDecoder(this.#io, links, endLsn, decoding, blocking, undefined)).decoder;
  }

  /** Reads the rest of a segment in this thread, because the other one could not. */
  *#continueHere({ end, nextLsn }: Frames): IoRoutine<void> {
    const { decoder } = this.#walk;
    this.#walk.leave();
    this.#isScannedAhead = false;
    try {
      this.#walk.enter(yield* openSealed(this.#io, this.#current, { from: end, nextLsn }), decoder);
      const successor = this.#links?.[this.#index];
      if (successor !== undefined) this.#walk.lastOfSegment = successor.header.firstLsn - 1;
    } catch (error) {
      throw yield* this.#explained(error, nextLsn);
    }
    // The other thread may not even have reached the first record that is requested.
    if (this.#from > nextLsn) yield* this.#seek(this.#from);
  }

  /** Opens the newest segment, and determines how far it can be read: to the last whole batch. */
  *#enterNewest(link: Link, decoder: PayloadDecoder): IoRoutine<void> {
    const reader = yield* openStreamed(this.#io, link);
    this.#walk.enter(reader, decoder);
    const probe = yield* openStreamed(this.#io, link);
    const tail = new ActiveTail(this.#io, reader, probe, link.header.firstLsn - 1);
    try {
      yield* tail.lookAgain();
      const { to } = this.#plan;
      if (tail.visibleLsn < to) yield* this.#checkWhole(tail, link);
      this.#walk.until = Math.min(tail.visibleLsn, to);
      reader.resume(tail.end);
    } finally {
      probe.close();
    }
  }

  /** Throws when the bytes after the end of the newest segment, or the checkpoint, prove that something is missing. */
  *#checkWhole(tail: ActiveTail, { path }: Link): IoRoutine<void> {
    const proof = yield* tail.findProof();
    const facts = [path, tail.end, tail.nextLsn] as const;
    if (yield* tail.isRecycled()) throw yield* this.#explained(recycled(path, tail.nextLsn), tail.nextLsn);
    if (proof !== undefined) throw lostRecord(...facts, 'hole', proof);
    const proven = provenByCheckpoint(this.#checkpoint, tail.visibleLsn + 1);
    if (proven !== undefined) throw lostRecord(...facts, proven.reason, proven.proof);
  }

  /** Skips the records before `lsn`. */
  *#seek(lsn: Lsn): IoRoutine<void> {
    const scanner = this.#walk.scanner as FrameScanner;
    const summary = new FrameSummary(0);
    const until = Math.min(lsn, this.#walk.until + 1);
    while (scanner.frames.nextLsn < until && (yield* scanner.fill())) scanner.frames.skip(summary, until);
    const hole = summary.holes.at(-1);
    if (hole !== undefined && hole.lastLsn >= lsn) this.#walk.passHole(scanner.frames, hole);
  }

  /** The segment that is being read. */
  get #current(): Link {
    return this.#links?.[this.#index - 1] as Link;
  }

  /** The error for a record that should be readable and is not. */
  *#unreadable({ path, end, nextLsn }: Frames): IoRoutine<unknown> {
    const successor = this.#links?.[this.#index];
    const proof =
      successor === undefined
        ? `the log has records up to ${this.#walk.until} there`
        : `${successor.path} begins with LSN ${successor.header.firstLsn}`;
    const reason = successor === undefined ? 'hole' : 'hole-before-successor';
    return yield* this.#explained(lostRecord(path, end, nextLsn, reason, proof), nextLsn);
  }

  /** The error to throw: `error`, unless the record was removed or cut off meanwhile. */
  *#explained(error: unknown, lsn: Lsn): IoRoutine<unknown> {
    if (!WalError.is(error)) return error;
    const { links } = yield* readChainBesideWriter(this.#io, this.#plan.directory, () => false);
    const { firstLsn } = (links[0] as Link).header;
    if (firstLsn > lsn) return truncated(lsn, firstLsn);
    const cutLsn = findCut(links, lastReadIn(this.#current, lsn, undefined));
    return cutLsn === undefined ? error : cutWhileRead(cutLsn, lsn, firstLsn);
  }
}
