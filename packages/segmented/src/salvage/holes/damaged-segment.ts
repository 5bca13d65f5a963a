import { type Checkpoint, type Lsn, RecordFlag, WalError } from '@walstack/codec';
import { HoleReason } from '@walstack/codec/internal';
import {
  FrameSummary,
  type Link,
  openStreamed,
  provenByCheckpoint,
  type ReadProgress,
  type Segment,
  type StreamedScanner,
  scanTail,
  withFile,
} from '@walstack/mmap-reader/internal';
import type { IoFile, IoRoutine, StorageIo } from '@walstack/storage-io';
import { lastSeenIn } from '../salvage-traces.js';
import { continuesBatch } from './batch-proof.js';
import { endOf, type Gap } from './gap.js';
import { type FoundFrame, type FrameSearch, nextFrame } from './next-frame.js';

/** What of a segment can be read, and the gaps between. */
export interface ReadAround {
  /** The segment as it is when its gaps are replaced. */
  readonly segment: Segment;
  /** In ascending order; empty when everything can be read. */
  readonly gaps: readonly Gap[];
  /** Whether the record at the limit can be read, too. */
  readonly goesOn: boolean;
}

/** What ends a segment that has no successor: nothing proves that there was more. */
export interface EndOfLog {
  readonly checkpoint: Checkpoint | undefined;
  /** The highest LSN that the checkpoint proves durable. */
  readonly seen: Lsn;
  /** Whether to read everything that can be read, also where nothing proves that it had been durable. Default `false`. */
  readonly readsAll?: boolean;
}

/**
 * Reads a segment around all damage: every valid frame up to the limit, and every batch of which nothing is lost.
 *
 * @param limit - the first LSN of the successor; `undefined` for the newest segment
 * @param newest - what proves that the newest segment had more
 */
export function* readAround(
  io: StorageIo,
  link: Link,
  limit: Lsn | undefined,
  newest: EndOfLog,
  progress: ReadProgress,
): IoRoutine<ReadAround> {
  return yield* withFile(io, link.path, (file) => new SegmentSalvage(io, file, link, limit, newest, progress).read());
}

/** Frames that can be read one behind another. */
interface Run {
  readonly end: number;
  readonly nextLsn: Lsn;
  /** Where a batch began whose last record was not reached. */
  readonly openBatch: FrameSummary['openBatch'];
  /** Whether every record before the limit was reached. */
  readonly reachesLimit: boolean;
  readonly goesOn: boolean;
}

class SegmentSalvage {
  readonly #io: StorageIo;
  readonly #file: IoFile;
  readonly #link: Link;
  readonly #size: number;
  readonly #limit: Lsn | undefined;
  readonly #newest: EndOfLog;
  readonly #progress: ReadProgress;
  readonly #gaps: Gap[] = [];
  #provenLsn: Lsn;

  constructor(
    io: StorageIo,
    file: IoFile,
    link: Link,
    limit: Lsn | undefined,
    newest: EndOfLog,
    progress: ReadProgress,
  ) {
    this.#io = io;
    this.#file = file;
    this.#link = link;
    this.#size = io.size(file);
    this.#limit = limit;
    this.#newest = newest;
    this.#progress = progress;
    this.#provenLsn = link.header.firstLsn - 1;
  }

  *read(): IoRoutine<ReadAround> {
    const { header } = this.#link;
    let run = yield* this.#readRun(header.blockBytes, header.firstLsn, undefined);
    while (!run.reachesLimit) {
      const kept = run.openBatch ?? run;
      const isNewest = this.#limit === undefined;
      const { readsAll = false } = this.#newest;
      if (isNewest && !readsAll && !(yield* this.#isLost(run))) return this.#upTo(kept.end, kept.nextLsn, false);
      const found = yield* this.#findBehind(run);
      if (found === undefined && readsAll && isNewest) return this.#upTo(kept.end, kept.nextLsn, false);
      if (found === undefined) return yield* this.#lostToTheEnd(kept.end, kept.nextLsn);
      const { offset, lsn } = found;
      const isNothingLost = lsn === run.nextLsn && !found.isBatchLost;
      const firstLsn = isNothingLost ? lsn : kept.nextLsn;
      const from = isNothingLost ? run.end : kept.end;
      this.#gaps.push({ from, to: offset, firstLsn, nextLsn: lsn, reason: HoleReason.unreadable });
      run = yield* this.#readRun(offset, lsn, isNothingLost ? run.openBatch : undefined);
    }
    return this.#upTo(run.end, this.#limit ?? run.nextLsn, run.goesOn);
  }

  #upTo(end: number, nextLsn: Lsn, goesOn: boolean): ReadAround {
    this.#progress.pass();
    return { segment: { ...this.#link, end, nextLsn }, gaps: this.#gaps, goesOn };
  }

  /** Nothing can be read from here on. */
  *#lostToTheEnd(from: number, firstLsn: Lsn): IoRoutine<ReadAround> {
    const seenHere = this.#limit ?? 1 + Math.max(this.#provenLsn, yield* lastSeenIn(this.#io, this.#link));
    const nextLsn = Math.max(this.#limit ?? 1 + this.#newest.seen, seenHere, firstLsn);
    // Without a trace of them in the file only the checkpoint shows that they were there.
    const reason = seenHere > firstLsn ? HoleReason.unreadable : HoleReason.end;
    const gap = { from, to: undefined, firstLsn, nextLsn, reason };
    if (nextLsn > firstLsn) this.#gaps.push(gap);
    return this.#upTo(endOf(gap, this.#link.header), nextLsn, false);
  }

  /** Whether what cannot be read had been durable: the rule of recovery for the end of a log. */
  *#isLost({ end, nextLsn, openBatch }: Run): IoRoutine<boolean> {
    const droppedFrom = openBatch?.nextLsn ?? nextLsn;
    if (this.#provenLsn >= droppedFrom) return true;
    if (provenByCheckpoint(this.#newest.checkpoint, droppedFrom) !== undefined) return true;
    const readable = { ...this.#link, end, nextLsn };
    const { proofOffset } = yield* scanTail(this.#io, this.#file, readable, this.#size, droppedFrom);
    return proofOffset !== undefined;
  }

  /** Where the log goes on behind damage: with the first frame that is in no batch of which a part is lost. */
  *#findBehind(
    run: Run,
  ): IoRoutine<{ readonly offset: number; readonly lsn: Lsn; readonly isBatchLost: boolean } | undefined> {
    let { end: from, nextLsn } = run;
    for (let isBatchLost = false; ; isBatchLost = true) {
      const search = this.#searchFrom(from, nextLsn);
      const found = yield* nextFrame(search);
      if (found === undefined) return undefined;
      const { offset, record } = found;
      if (!(yield* this.#isInLostBatch(run, search, found, isBatchLost)))
        return { offset, lsn: record.lsn, isBatchLost };
      const behind = yield* this.#behindBatch(offset, record.lsn);
      if (behind.isWhole) return { offset: behind.end, lsn: behind.nextLsn, isBatchLost: true };
      ({ end: from, nextLsn } = behind);
    }
  }

  *#isInLostBatch(run: Run, search: FrameSearch, found: FoundFrame, isBatchLost: boolean): IoRoutine<boolean> {
    const isNothingLost = found.record.lsn === run.nextLsn && !isBatchLost;
    // Padding in the middle of a batch, which goes on behind it.
    if (isNothingLost) return run.openBatch !== undefined && found.offset % this.#link.header.blockBytes !== 0;
    return yield* continuesBatch(search, found);
  }

  #searchFrom(from: number, nextLsn: Lsn): FrameSearch {
    const limit = this.#limit ?? Number.MAX_SAFE_INTEGER;
    const { header } = this.#link;
    return { io: this.#io, file: this.#file, header, size: this.#size, from, nextLsn, limit };
  }

  /** Reads frames one behind another. */
  *#readRun(from: number, nextLsn: Lsn, openBatch: FrameSummary['openBatch']): IoRoutine<Run> {
    const summary = new FrameSummary(this.#provenLsn);
    summary.openBatch = openBatch;
    const limit = this.#limit ?? Number.POSITIVE_INFINITY;
    const scanner = yield* openStreamed(this.#io, this.#link, { from, nextLsn });
    const { frames } = scanner;
    try {
      const goesOn = yield* this.#readFrames(scanner, summary, limit);
      this.#provenLsn = summary.provenLsn;
      return {
        end: frames.end,
        nextLsn: frames.nextLsn,
        openBatch: summary.openBatch,
        reachesLimit: frames.nextLsn >= limit,
        goesOn,
      };
    } finally {
      scanner.close();
    }
  }

  /** @returns whether the record with the LSN `limit` was reached */
  *#readFrames(scanner: StreamedScanner, summary: FrameSummary, limit: Lsn): IoRoutine<boolean> {
    const { frames } = scanner;
    try {
      while (yield* scanner.fill()) {
        if (!frames.skip(summary, limit)) return true;
        this.#progress.at(frames.end, frames.nextLsn);
      }
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
    }
    return false;
  }

  /** Reads the rest of a batch. @returns where it ends, or where it cannot be read any further */
  *#behindBatch(
    from: number,
    lsn: Lsn,
  ): IoRoutine<{ readonly end: number; readonly nextLsn: Lsn; readonly isWhole: boolean }> {
    const scanner = yield* openStreamed(this.#io, this.#link, { from, nextLsn: lsn });
    const { frames } = scanner;
    try {
      while (yield* scanner.fill()) {
        while (frames.next()) {
          const { end, nextLsn } = frames;
          const isLast = frames.isMark || (frames.flags & RecordFlag.batchContinues) === 0;
          if (isLast || nextLsn >= (this.#limit ?? Number.POSITIVE_INFINITY)) return { end, nextLsn, isWhole: true };
        }
      }
      return { end: frames.end, nextLsn: frames.nextLsn, isWhole: false };
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
      return { end: frames.end, nextLsn: frames.nextLsn, isWhole: false };
    } finally {
      scanner.close();
    }
  }
}
