import { type Checkpoint, type Lsn, PayloadDecoder, WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import type { Link } from '../chain/chain.js';
import { readChainBesideWriter, readChainFrom } from '../chain/chain-beside-writer.js';
import { cutWhileRead, lostRecord, provenByCheckpoint, recycled, truncated } from '../chain/corruption.js';
import { predatesEncryption } from '../chain/encrypted-from.js';
import { loadKeys } from '../chain/load-keys.js';
import { decodeRecord } from '../frames/decode-record.js';
import type { DecodingSettings } from '../frames/decoding.js';
import type { FrameScanner } from '../frames/frame-scanner.js';
import { FrameSummary } from '../frames/frame-summary.js';
import type { Frames } from '../frames/frames.js';
import { openSealed, openStreamed } from '../frames/open-scanner.js';
import type { WalRecord } from '../frames/wal-record.js';
import type { ScanAhead } from '../parallel-scan/scan-ahead.js';
import { ActiveTail } from './active-tail.js';
import { findCut, lastReadIn } from './resume-point.js';

/** The progress of a replay. */
export interface ReplayProgress {
  /** The last LSN that was read. */
  readonly lsn: Lsn;
  /** Segment files that were read completely, and all that there are. */
  readonly segments: number;
  readonly totalSegments: number;
  /** Bytes of the files that were read, and all that there are. */
  readonly bytes: number;
  readonly totalBytes: number;
}

/** What is read of a directory, and how. */
export interface DirectoryPlan {
  readonly directory: string;
  readonly from: Lsn | 'first';
  readonly to: Lsn;
  readonly types: ReadonlySet<number> | undefined;
  readonly copy: boolean;
  readonly decoding: DecodingSettings;
  /** Whether there is no waiting for a key service. */
  readonly blocking: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: ReplayProgress) => void) | undefined;
  /** Makes the scanner that finds frames of sealed segments ahead, in other threads. */
  readonly ahead: ((links: readonly Link[]) => ScanAhead) | undefined;
}

/** Reads the records of a log's directory in order, segment by segment, beside a writer or without any. */
export class DirectoryReader {
  readonly #io: StorageIo;
  readonly #plan: DirectoryPlan;
  #links: readonly Link[] | undefined;
  #checkpoint: Checkpoint | undefined;
  #ahead: ScanAhead | undefined;
  /** The segment to be read next. */
  #index = 0;
  #scanner: FrameScanner | undefined;
  /** Whether the frames of the current segment are found by another thread. */
  #isScannedAhead = false;
  #decoder: PayloadDecoder | undefined;
  /** The last LSN that is read from the current segment. */
  #until: Lsn = 0;
  /** The size of each file, when progress is reported. */
  #sizes: readonly number[] = [];
  #bytesBefore = 0;

  constructor(io: StorageIo, plan: DirectoryPlan) {
    this.#io = io;
    this.#plan = plan;
  }

  /** The frames that `advancing()` found. */
  get frames(): Frames | undefined {
    return this.#scanner?.frames;
  }

  /** The last LSN that is read from them. */
  get until(): Lsn {
    return this.#until;
  }

  /** The decoder of the current segment's records. */
  get decoder(): PayloadDecoder {
    return this.#decoder as PayloadDecoder;
  }

  /** The next record in memory; `undefined` when `advancing()` has to read more. */
  next(): WalRecord | undefined {
    const { frames } = this;
    if (frames === undefined) return undefined;
    const { types, copy } = this.#plan;
    while (frames.nextLsn <= this.#until && frames.next()) {
      if (frames.isMark || (types !== undefined && !types.has(frames.type))) continue;
      return decodeRecord(frames, this.decoder, copy);
    }
    frames.checkRead();
    return undefined;
  }

  /**
   * Reads more, from segment to segment.
   *
   * @returns whether there may be further records in memory
   * @throws the errors that `replayDirectory` documents
   */
  *advancing(): IoRoutine<boolean> {
    for (;;) {
      this.#plan.signal?.throwIfAborted();
      const scanner: FrameScanner | undefined = this.#scanner;
      if (scanner === undefined) {
        if (!(yield* this.#openNext())) return false;
        continue;
      }
      const { frames } = scanner;
      if (frames.nextLsn <= this.#until) {
        if (frames.hasMore || (yield* scanner.fill())) {
          this.#reportProgress(frames.nextLsn - 1, frames.base + frames.stop);
          return true;
        }
        if (!this.#isScannedAhead) throw yield* this.#unreadable(frames);
        yield* this.#continueHere(frames);
        continue;
      }
      this.#closeScanner();
      this.#bytesBefore += this.#sizes[this.#index - 1] ?? 0;
      this.#reportProgress(frames.nextLsn - 1, 0);
    }
  }

  /** Restores memory whose buffer was transferred away. @returns whether that was the case */
  restore(): boolean {
    return this.#scanner?.restore?.() ?? false;
  }

  /** Ends the reading and closes its file. Idempotent. */
  close(): void {
    this.#closeScanner();
    this.#ahead?.close();
    this.#ahead = undefined;
  }

  *#openNext(): IoRoutine<boolean> {
    const links = this.#links ?? (yield* this.#begin());
    const link = links[this.#index];
    const { from, to } = this.#plan;
    if (link === undefined || link.header.firstLsn > to) return false;
    const successor = links[++this.#index];
    try {
      yield* this.#prepareDecoder(link, successor);
      if (successor === undefined) yield* this.#openNewest(link);
      else {
        this.#until = Math.min(successor.header.firstLsn - 1, to);
        const aheadScanner = this.#ahead?.scanner(this.#index - 1);
        this.#isScannedAhead = aheadScanner !== undefined;
        this.#scanner = aheadScanner ?? (yield* openSealed(this.#io, link));
      }
    } catch (error) {
      if (this.#plan.signal?.aborted === true) throw error;
      // The error may be about a record of a later segment.
      const { lsn = 0 } = WalError.is(error) ? error : {};
      const last = successor === undefined ? lsn : Math.min(lsn, successor.header.firstLsn - 1);
      throw yield* this.#explained(error, Math.max(last, link.header.firstLsn));
    }
    if (from !== 'first' && from > link.header.firstLsn) yield* this.#seek(from);
    return true;
  }

  /** Makes the decoder of a segment's records, and loads the segment's key. */
  *#prepareDecoder({ path, header }: Link, successor: Link | undefined): IoRoutine<void> {
    const { decoding, blocking, signal } = this.#plan;
    if (header.encrypted) yield* loadKeys(decoding.keyRing, [header.keyId], blocking, signal);
    const links = (this.#links as readonly Link[]).slice(this.#index - 1);
    const endLsn = successor?.header.firstLsn ?? Number.MAX_SAFE_INTEGER;
    const predates = yield* predatesEncryption(this.#io, links, endLsn, decoding, blocking, signal);
    this.#decoder = new PayloadDecoder(header, path, { ...decoding, predatesEncryption: predates });
  }

  /** Reads the rest of a segment in this thread, because the other one could not. */
  *#continueHere({ end, nextLsn }: Frames): IoRoutine<void> {
    const link = (this.#links as readonly Link[])[this.#index - 1] as Link;
    this.#closeScanner();
    this.#isScannedAhead = false;
    try {
      this.#scanner = yield* openSealed(this.#io, link, { from: end, nextLsn });
    } catch (error) {
      throw yield* this.#explained(error, nextLsn);
    }
    // The other thread may not even have reached the first record that is requested.
    const { from } = this.#plan;
    if (from !== 'first' && from > nextLsn) yield* this.#seek(from);
  }

  /** Finds the segments, from the one that contains the first record on. */
  *#begin(): IoRoutine<readonly Link[]> {
    const { directory, from, onProgress, ahead } = this.#plan;
    const { links, checkpoint } = yield* readChainFrom(this.#io, directory, from);
    this.#checkpoint = checkpoint;
    this.#links = links;
    if (onProgress !== undefined) this.#sizes = links.map(({ path }) => this.#sizeOf(path));
    this.#ahead = ahead?.(links.slice(0, -1));
    return links;
  }

  /** Opens the newest segment, and determines how far it can be read: to the last whole batch. */
  *#openNewest(link: Link): IoRoutine<void> {
    const reader = yield* openStreamed(this.#io, link);
    this.#scanner = reader;
    const probe = yield* openStreamed(this.#io, link);
    const tail = new ActiveTail(this.#io, reader, probe, link.header.firstLsn - 1);
    try {
      yield* tail.lookAgain();
      const { to } = this.#plan;
      if (tail.visibleLsn < to) yield* this.#checkWhole(tail, link);
      this.#until = Math.min(tail.visibleLsn, to);
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
    const scanner = this.#scanner as FrameScanner;
    const summary = new FrameSummary(0);
    const until = Math.min(lsn, this.#until + 1);
    while (scanner.frames.nextLsn < until && (yield* scanner.fill())) scanner.frames.skip(summary, until);
  }

  /** The error for a record that should be readable and is not. */
  *#unreadable({ path, end, nextLsn }: Frames): IoRoutine<unknown> {
    const successor = this.#links?.[this.#index];
    const proof =
      successor === undefined
        ? `the log has records up to ${this.#until} there`
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
    const own = (this.#links as readonly Link[])[this.#index - 1] as Link;
    const cutLsn = findCut(links, lastReadIn(own, lsn));
    return cutLsn === undefined ? error : cutWhileRead(cutLsn, lsn, firstLsn);
  }

  #reportProgress(lsn: Lsn, bytes: number): void {
    const { onProgress } = this.#plan;
    if (onProgress === undefined) return;
    const totalBytes = this.#sizes.reduce((sum, size) => sum + size, 0);
    onProgress({
      lsn,
      segments: this.#scanner === undefined ? this.#index : this.#index - 1,
      totalSegments: this.#sizes.length,
      bytes: Math.min(this.#bytesBefore + bytes, totalBytes),
      totalBytes,
    });
  }

  #sizeOf(path: string): number {
    try {
      return this.#io.stat(path).size;
    } catch (error) {
      // It was removed meanwhile: reading it will report that.
      if (WalError.is(error, 'WAL_NOT_FOUND')) return 0;
      throw error;
    }
  }

  #closeScanner(): void {
    this.#scanner?.close();
    this.#scanner = undefined;
  }
}
