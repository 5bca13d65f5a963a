import { type Lsn, WalError } from '@walstack/codec';
import { checkPath } from '@walstack/codec/internal';
import { type IoRoutine, runAsync, runSync, type StorageIo } from '@walstack/storage-io';
import { calledBetweenSteps, Interruptible, type Watch, watched } from '@walstack/storage-io/internal';
import { isStored } from '../records/stored-record.js';
import type { WalRecord } from '../records/wal-record.js';
import { CallWatch, READING_ABORTED, watchOf } from '../walk/call-watch.js';
import { SegmentWalk } from '../walk/segment-walk.js';
import { checkTailOptions, interruptible, type LogTailOptions, type SkippedRecords } from './log-tail-options.js';
import { type ResumePoint, resumePointOf } from './resume-point.js';
import { TailSegments } from './tail-segments.js';

/**
 * Reads a log beside its writer, in this process or another one, without a lock: in order, from an LSN on, from segment
 * to segment, up to the last readable record, and later on from there.
 *
 * Of the segment that is being written it sees a consistent prefix, by plain reads. A record that is not completely
 * written, or whose batch is not, is *not there yet*, which is no error. An acknowledged record that cannot be read is
 * an error.
 *
 * ```ts
 * for (;;) {
 *   while (await tail.advance()) for (let r = tail.next(); r; r = tail.next()) use(r);
 *   await somethingHappens();
 * }
 * ```
 */
export class LogTail {
  readonly #io: StorageIo;
  readonly #directory: string;
  readonly #walk: SegmentWalk;
  readonly #segments: TailSegments;
  readonly #watch: CallWatch | undefined;
  /** Ends a call in progress where it waits: when the tail is closed, and by the signal. */
  readonly #ending: Watch;
  /** Ends a call with what a function of the application throws: it could have the code of a finding of the tail itself. */
  readonly #interruptible = new Interruptible();
  #isAdvancing = false;
  /** Whether `matches` is being called. */
  #isMatching = false;

  /**
   * @param io - the backend with the log; it is not disposed of with the tail
   * @param directory - the log's directory
   */
  constructor(io: StorageIo, directory: string | URL, options: LogTailOptions = {}) {
    const plan = interruptible(checkTailOptions(options), this.#interruptible);
    const { matches } = plan;
    this.#io = io;
    this.#directory = checkPath('directory', directory);
    this.#walk = new SegmentWalk(
      typeof plan.from === 'string' ? UNKNOWN : plan.from,
      plan.copy,
      matches === undefined ? undefined : (record) => this.#matching(matches, record),
      plan.onHole,
      isStored(options),
    );
    this.#watch = CallWatch.for(plan.call, READING_ABORTED, () => this.#segments.progress);
    this.#segments = new TailSegments(io, this.#directory, plan, this.#walk, this.#watch?.isReported === true);
    this.#ending = watchOf(this.#watch, { reason: () => this.#segments.closedBecause });
  }

  /** The LSN of the next record; `undefined` before the first `advance()` that found the log. */
  get nextLsn(): Lsn | undefined {
    const { nextLsn } = this.#walk;
    return nextLsn === UNKNOWN ? undefined : nextLsn;
  }

  /**
   * Where another tail can continue after the records that this one has returned; `undefined` before the first
   * `advance()` that found the log, and as long as the log does not reach the first LSN requested.
   */
  get resumePoint(): ResumePoint | undefined {
    const { lastRead } = this.#segments;
    return lastRead !== undefined && lastRead.lsn + 1 === this.#walk.nextLsn ? resumePointOf(lastRead) : undefined;
  }

  /** With `onTruncated: 'skip'`: what was skipped, in order. A frozen snapshot. */
  get skipped(): readonly SkippedRecords[] {
    return this.#segments.skipped;
  }

  /** Everything up to this LSN is proven to survive a crash by what was read; 0 when nothing is. */
  get provenLsn(): Lsn {
    return this.#segments.provenLsn;
  }

  /**
   * The next record of those that `advance()` found; `undefined` when it has to be called again.
   *
   * @throws `WAL_BAD_KEY`, `WAL_CORRUPT`, `WAL_TOO_LARGE`, `WAL_UNSUPPORTED` when the record cannot be decoded: it
   * stays the next one, and this throws the same error until `advance()` is called; `WAL_TRUNCATED` like {@link advance};
   * `WAL_STATE` inside `matches`
   */
  next(): WalRecord | undefined {
    if (this.#isMatching) throw busy(this.#directory, 'matching');
    if (this.#segments.mustRelocate) return undefined;
    const record = this.#walk.next();
    if (record !== undefined) this.#segments.checkSession();
    return record;
  }

  /** Takes back the record that `next()` returned last, before any other call: it is the next one again. */
  putBack(): void {
    this.#walk.nextLsn--;
    this.#segments.mustRelocate = true;
  }

  /**
   * To be called at the moment when the end of the log is cut off: every record after `lastLsn` is gone, and none of
   * them is returned from then on.
   */
  cutAfter(lastLsn: Lsn): void {
    this.#segments.cutAfter(lastLsn);
  }

  /**
   * Looks for further records.
   *
   * @returns `false` when there is nothing more to read yet; `true` when `next()` may return records
   * @throws `WAL_TRUNCATED` with `firstLsn` when the next record was removed, and with `reason` `'cut-back'` when
   * something was cut off that had been returned, or was before the resume point: what was read from `lsn` on is no
   * longer in the log; `lsn` is 1 when it is not known how much that is. `WAL_CORRUPT` when something acknowledged
   * cannot be read; `WAL_NOT_FOUND` when there is no log; `WAL_CLOSED`; `WAL_ABORTED`; `WAL_STATE` while another call is in progress,
   * which continues, and inside `matches`; what a function among the options throws. After an error another call tries again from the
   * same record
   */
  advance(): Promise<boolean> {
    this.#segments.isBlocking = false;
    return runAsync(this.#io, this.advancing());
  }

  /** Like {@link advance}, blocking the thread. @throws `WAL_UNSUPPORTED` on a backend that cannot wait */
  advanceSync(): boolean {
    this.#segments.isBlocking = true;
    try {
      return runSync(this.#io, this.advancing());
    } finally {
      this.#segments.isBlocking = false;
    }
  }

  /** {@link advance} as an I/O routine. */
  *advancing(): IoRoutine<boolean> {
    if (this.#isAdvancing) throw busy(this.#directory, 'advancing');
    if (this.#isMatching) throw busy(this.#directory, 'matching');
    this.#isAdvancing = true;
    try {
      const watch = this.#watch;
      const advancing = watch === undefined ? watched(this.#advancing(), this.#ending) : this.#reported(watch);
      return yield* this.#interruptible.run(advancing);
    } finally {
      this.#isAdvancing = false;
      if (this.#segments.isClosed) this.#segments.leave();
    }
  }

  *#reported(watch: CallWatch): IoRoutine<boolean> {
    watch.throwIfEnded();
    // Between two calls the caller may have given the event loop its turn.
    if (watch.isReportDue && !this.#segments.isClosed) yield* calledBetweenSteps(watch.report);
    const isMore = yield* watched(this.#advancing(), this.#ending);
    if (!isMore && watch.isReported) yield* calledBetweenSteps(watch.finish);
    return isMore;
  }

  #matching<T>(matches: (record: T) => boolean, record: T): boolean {
    this.#isMatching = true;
    try {
      return matches(record);
    } finally {
      this.#isMatching = false;
    }
  }

  *#advancing(): IoRoutine<boolean> {
    for (;;) {
      try {
        return yield* this.#walk.advance(this.#segments);
      } catch (error) {
        this.#segments.leave();
        if (!this.#segments.beginsAgain(error) && !this.#segments.skips(error)) throw error;
      }
    }
  }

  /**
   * Ends the reading and closes its file, once a call in progress no longer needs it. Waiting for a key service ends at
   * once. Idempotent.
   */
  close(): void {
    this.#segments.close();
    if (!this.#isAdvancing) this.#segments.leave();
  }

  /** Closes the tail: {@link close}. */
  [Symbol.dispose](): void {
    this.close();
  }
}

/** The next LSN, before the log was found. */
const UNKNOWN: Lsn = 0;

function busy(directory: string, state: 'advancing' | 'matching'): WalError {
  const what =
    state === 'advancing'
      ? 'is looking for further records: wait for that call before the next one'
      : 'is asking matches whether to return a record: read on when that has returned';
  return new WalError('WAL_STATE', `the tail of the log in ${directory} ${what}`, { path: directory, state });
}
