import { type Lsn, WalError } from '@walstack/codec';
import {
  checkInteger,
  type FollowerFile,
  type FollowerSlot,
  outOfRange,
  type StoredPosition,
  storedSlot,
} from '@walstack/codec/internal';
import type { LogTail, ReadFrom, ResumePoint, SkippedRecords } from '@walstack/mmap-reader';
import { cutBack, readChainFrom } from '@walstack/mmap-reader/internal';
import type { Environment } from '@walstack/segmented';
import { type IoRoutine, runAsync } from '@walstack/storage-io';
import { callListener, RoutineQueue } from '@walstack/storage-io/internal';
import { firstWhenSettled, removalOf, removedWhenSettled } from './announced-truncation.js';
import type { NamedSettings } from './named-options.js';
import { PositionFile, timeOf } from './position-file.js';
import { ReadPoints } from './read-points.js';

/** An open follower stores that it is there at least so often, in milliseconds. */
const RENEW_MS = 10_000;

/** Where a follower with a name begins: `'stored'` is found out from its file. */
type NamedFrom = ReadFrom | ResumePoint | 'stored';

/** What a position needs to know of the log. */
interface NamedLog extends Pick<Environment, 'io' | 'now' | 'setTimer'> {
  readonly directory: string;
  /** Wakes the follower: storing in the background has failed. */
  readonly wake: () => void;
  /** Whether the log is written in this process, and keeps what the follower needs already. */
  readonly isKept: boolean;
}

/**
 * How far a follower with a name is: what was acknowledged, and what of that is stored. The file is there before the log is
 * read, so that the log keeps what it says from then on; whether the first event was still there shows the checkpoint, which
 * a writer that truncates the log has replaced before it looks for such files.
 */
export class NamedPosition {
  readonly #log: NamedLog;
  readonly #settings: NamedSettings;
  readonly #queue: RoutineQueue;
  readonly #points = new ReadPoints();
  #file: PositionFile | undefined;
  /** What was stored before this follower began. */
  #before: FollowerSlot | undefined;
  /** Where it begins, as it is stored; `undefined` where that is not known yet. */
  #start: StoredPosition | undefined;
  /** Whether the file says what this follower needs. */
  #isRegistered = false;
  /** Whether there was something that cannot be read. */
  #wasDamaged = false;
  /** What was removed from the log before it was asked to keep it, and is skipped. */
  #skipped: SkippedRecords | undefined;
  #tail: LogTail | undefined;
  #stored: StoredPosition | undefined;
  /** By the clock of the follower; `undefined` without a clock. */
  #storedAtMs: number | undefined;
  /** For how many milliseconds of the timer no position was stored. */
  #sinceStored = 0;
  /** For how many milliseconds of the timer nothing was written, not even the position from before. */
  #sinceWritten = 0;
  /** Whether a request takes an event at this moment, which is not returned yet, and may never be. */
  #isTaking = false;
  /** The LSN behind everything acknowledged; 0 before the log was found. */
  #acknowledged: Lsn = 0;
  /** The LSN behind the last event that was returned. */
  #returned: Lsn = 0;
  #failure: { readonly reason: unknown } | undefined;
  #cancelTimer: (() => void) | undefined;
  #isOver = false;

  constructor(log: NamedLog, settings: NamedSettings) {
    this.#log = log;
    this.#settings = settings;
    this.#queue = new RoutineQueue(log.io);
  }

  /** Whether the position of the first event is stored. */
  get isFound(): boolean {
    return this.#acknowledged > 0;
  }

  /** What was skipped before the first event; `undefined` when nothing was. */
  get skipped(): SkippedRecords | undefined {
    return this.#skipped;
  }

  /** @throws why storing in the background has failed */
  throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.reason;
  }

  /**
   * Takes the name, and has the log keep what is to be read. @returns where to begin
   *
   * @throws `WAL_LOCKED`, `WAL_NOT_FOUND`, `WAL_IO_FAILED`, `WAL_NO_SPACE`; `WAL_TRUNCATED` when it was removed; when it begins at
   * `'stored'` also `WAL_CORRUPT`, and `WAL_TRUNCATED` when another log is in the directory now
   */
  async begin(from: NamedFrom): Promise<ReadFrom | ResumePoint> {
    const { io, directory, now } = this.#log;
    const file = await runAsync(io, PositionFile.open(io, directory, this.#settings.name, now));
    this.#file = file;
    try {
      return await this.#queue.run(() => this.#register(file, from));
    } catch (error) {
      if (WalError.is(error, 'WAL_TRUNCATED') && this.#isRegistered) await this.abandon().catch(() => {});
      this.release();
      throw error;
    }
  }

  /** Stores what the log has to keep, and only then looks at where it begins. */
  *#register(file: PositionFile, from: NamedFrom): IoRoutine<ReadFrom | ResumePoint> {
    yield* this.#readBefore(file, from === 'stored');
    const before = this.#before !== undefined && file.isOfThisLog(this.#before) ? this.#before.position : undefined;
    const start = from !== 'stored' ? from : before === undefined ? this.#settings.initially : startAt(before);
    const lsn = typeof start === 'string' ? undefined : typeof start === 'object' ? start.lsn : start;
    // Where it is not known yet, everything is kept. What is stored already counts until the first event is found.
    this.#start = from === 'stored' && before !== undefined ? before : positionAt(start);
    yield* file.begin(this.#start, this.#before);
    this.#isRegistered = true;
    const wasKept = lsn !== undefined && before !== undefined && before.lsn <= lsn;
    return this.#log.isKept || wasKept ? start : yield* this.#keptFrom(start, lsn);
  }

  /**
   * Where the log begins for a follower of which its writer did not know: behind what a truncation is about to remove that may not
   * have seen it. @throws `WAL_TRUNCATED` when it needs something before
   */
  *#keptFrom(start: ReadFrom | ResumePoint, lsn: Lsn | undefined): IoRoutine<ReadFrom | ResumePoint> {
    const { io, directory } = this.#log;
    const from = typeof start === 'object' ? start.lsn : start;
    let kept: Lsn;
    try {
      kept = yield* firstWhenSettled(io, directory, from);
    } catch (error) {
      if (!WalError.is(error, 'WAL_TRUNCATED')) throw error;
      // The tail finds out the same, and whether anything before was cut off.
      if ((yield* removalOf(io, directory, from)) !== undefined) return start;
      return this.#behind(error);
    }
    if (lsn !== undefined) return start;
    // The tail sees what the truncation is about to remove.
    return (yield* readChainFrom(io, directory, from)).firstWanted < kept ? kept : start;
  }

  /** Skips what was removed. @returns where to begin @throws the error when it is not to be skipped */
  #behind(removed: WalError): Lsn {
    if (!this.#settings.skips) throw removed;
    const { lsn = 1, firstLsn = 1 } = removed;
    const { fromLsn } = this.#skipped ?? this.#tail?.skipped[0] ?? { fromLsn: lsn };
    this.#skipped = Object.freeze({ fromLsn, toLsn: firstLsn - 1 });
    return firstLsn;
  }

  /** The tail that reads from there. */
  reads(tail: LogTail): void {
    this.#tail = tail;
  }

  /**
   * The tail has found the log, and the first event was not removed from it: stores where that is. What was stored before may
   * have counted for nothing until then, as it had expired, or was stored behind the last look of the writer. So a truncation of the
   * first event has to be settled before that is returned.
   *
   * @param ended - ends the wait for that
   * @returns where to begin instead, when the first event was removed, and is skipped
   * @throws `WAL_TRUNCATED` when it was removed
   */
  async found(ended: AbortSignal): Promise<Lsn | undefined> {
    const nextLsn = this.#tail?.nextLsn;
    if (this.isFound || nextLsn === undefined) return undefined;
    this.#acknowledged = nextLsn;
    this.#returned = nextLsn;
    await this.#store();
    const isSeen = this.#log.isKept || this.#before === undefined;
    const removed = isSeen ? undefined : await removedWhenSettled(this.#log, nextLsn, ended);
    if (removed !== undefined) {
      this.#acknowledged = 0;
      this.#stored = undefined;
      return this.#behind(removed);
    }
    this.#arm();
    return undefined;
  }

  /** The first event was removed from the log before the log was asked to keep it: stores what was stored before. */
  async abandon(): Promise<void> {
    const file = this.#file;
    if (file === undefined || this.isFound || this.#wasDamaged) return;
    const before = this.#before;
    // With its time: a follower that is opened again and again, and never returns an event, is to expire all the same.
    await this.#queue.run(() => (before === undefined ? file.remove() : file.putBack(before)));
  }

  /** The tail is going to read on, perhaps in another segment. */
  beforeAdvance(): void {
    this.#points.note(this.#tail?.resumePoint);
  }

  /** The next event is requested: with `storeEvery` that acknowledges those before. */
  onRequest(): void {
    this.#isTaking = true;
    if (!this.isFound || !this.#settings.isAutomatic) return;
    this.#acknowledged = Math.max(this.#acknowledged, this.#tail?.nextLsn ?? 0);
    if (this.#acknowledged - (this.#stored?.lsn ?? 0) < this.#settings.everyEvents || !this.#queue.idle) return;
    this.#inBackground(() => this.#storing());
  }

  /** The request is over. @param lastLsn - that of the last event that is returned; `undefined` when none is */
  onTaken(lastLsn: Lsn | undefined): void {
    this.#isTaking = false;
    if (lastLsn !== undefined) this.#returned = lastLsn + 1;
  }

  /**
   * Everything up to an LSN is processed. Durable on return. @throws `RangeError` for an event that was not returned yet
   *
   * @param lsn - default: that of the last event returned
   */
  async acknowledge(lsn: Lsn | undefined): Promise<void> {
    if (this.#isOver) throw this.#over();
    const last = this.#returned - 1;
    if (lsn !== undefined && checkInteger('lsn', lsn) > Math.max(0, last)) {
      throw outOfRange('lsn', `at most ${Math.max(0, last)}, the LSN of the last event returned`, lsn);
    }
    if (!this.isFound) return;
    this.#acknowledged = Math.max(this.#acknowledged, (lsn ?? last) + 1);
    this.#coverSkipped();
    await this.#store();
  }

  /** Stores what was acknowledged, and what the filter has skipped. Durable on return. */
  async store(): Promise<void> {
    if (!this.isFound || this.#file === undefined) return;
    this.#coverSkipped();
    await this.#store();
  }

  /** {@link store}, and gives the name back. Idempotent. */
  async end(): Promise<void> {
    if (this.#isOver) return;
    this.#stop();
    try {
      await this.store();
    } finally {
      this.release();
    }
  }

  /** Gives the name back, once what is being stored is, without storing anything else. Idempotent. */
  release(): void {
    this.#stop();
    const file = this.#file;
    this.#file = undefined;
    if (file === undefined) return;
    // With a backend that was disposed of, its locks are released.
    const unlock = (): void => void callListener(() => file.unlock(), undefined);
    if (this.#queue.idle) unlock();
    else this.#queue.run(nothing).then(unlock, unlock);
  }

  #stop(): void {
    this.#isOver = true;
    const cancel = this.#cancelTimer;
    this.#cancelTimer = undefined;
    // What the timer of the application throws does not prevent the rest from being released.
    if (cancel !== undefined) callListener(cancel, undefined);
  }

  *#readBefore(file: PositionFile, isNeeded: boolean): IoRoutine<void> {
    try {
      const found = yield* file.read();
      this.#before = found === undefined ? undefined : yield* this.#storedIn(found, file);
    } catch (error) {
      if (isNeeded || !WalError.is(error, 'WAL_CORRUPT')) throw error;
      this.#wasDamaged = true;
    }
    const { position } = this.#before ?? {};
    if (!isNeeded || this.#before === undefined || position === undefined || file.isOfThisLog(this.#before)) return;
    throw cutBack(1, position.lsn - 1, 1);
  }

  /**
   * What is stored in a file. While the older slot counts, the log keeps what that needs. So where that is gone, the newer one is
   * durable, or the follower has expired: what it says was acknowledged.
   */
  *#storedIn(found: FollowerFile, file: PositionFile): IoRoutine<FollowerSlot> {
    const stored = storedSlot(found);
    const { newer, begun } = found;
    const { position } = stored;
    if (newer === stored || newer === begun || position === undefined || newer.position === undefined) return stored;
    if (newer.position.lsn <= position.lsn || !file.isOfThisLog(stored) || !file.isOfThisLog(newer)) return stored;
    return (yield* removalOf(this.#log.io, this.#log.directory, position.lsn)) === undefined ? stored : newer;
  }

  /** Without outstanding events, what the filter has skipped counts as acknowledged. */
  #coverSkipped(): void {
    if (this.#isTaking || this.#acknowledged < this.#returned) return;
    this.#acknowledged = Math.max(this.#acknowledged, this.#tail?.nextLsn ?? 0);
  }

  #store(): Promise<void> {
    return this.#queue.run(() => this.#storing());
  }

  *#storing(): IoRoutine<void> {
    const file = this.#file;
    if (file === undefined) throw this.#over();
    const lsn = this.#acknowledged;
    if (this.#stored?.lsn === lsn) return;
    this.#points.note(this.#tail?.resumePoint);
    // Where it has begun, that says more than what the tail knows of the event before.
    yield* this.#write(file, this.#start?.lsn === lsn ? this.#start : this.#points.before(lsn));
    this.#points.forgetBefore(lsn);
    this.#sinceStored = 0;
  }

  /** Stores again what is stored, to show that this follower is there. */
  *#renewing(): IoRoutine<void> {
    const file = this.#file;
    if (file === undefined) throw this.#over();
    if (this.#stored !== undefined) yield* this.#write(file, this.#stored);
  }

  *#write(file: PositionFile, position: StoredPosition): IoRoutine<void> {
    this.#storedAtMs = yield* file.store(position);
    this.#sinceWritten = 0;
    this.#stored = position;
  }

  #arm(): void {
    if (this.#isOver) return;
    const { everyMs } = this.#settings;
    const left = everyMs - this.#sinceStored;
    const ms = Math.min(RENEW_MS, left > 0 ? left : everyMs);
    const fired = (): void => {
      this.#sinceStored += ms;
      this.#sinceWritten += ms;
      this.#onTimer();
    };
    this.#cancelTimer = this.#log.setTimer(fired, ms);
  }

  #onTimer(): void {
    if (this.#isOver) return;
    this.#coverSkipped();
    const isNew =
      this.#sinceStored >= this.#settings.everyMs &&
      this.#stored?.lsn !== this.#acknowledged &&
      (this.#settings.isAutomatic || this.#hasNothingOutstanding);
    if (this.#queue.idle) {
      if (isNew) this.#inBackground(() => this.#storing());
      else if (this.#isRenewalDue()) this.#inBackground(() => this.#renewing());
    }
    this.#arm();
  }

  /** By the timer and by the clock: the process may have been stopped, and the clock set. */
  #isRenewalDue(): boolean {
    const age = Math.abs((timeOf(this.#log.now) ?? Number.NaN) - (this.#storedAtMs ?? Number.NaN));
    return this.#sinceWritten >= RENEW_MS || age >= RENEW_MS;
  }

  get #hasNothingOutstanding(): boolean {
    return this.#acknowledged >= this.#returned;
  }

  #inBackground(routine: () => IoRoutine<void>): void {
    this.#queue.run(routine).catch((reason: unknown) => {
      if (this.#isOver) return;
      this.#failure = { reason };
      this.#log.wake();
    });
  }

  #over(): WalError {
    const what = `the follower ${JSON.stringify(this.#settings.name)} has ended: acknowledge before it ends`;
    return new WalError('WAL_CLOSED', what, { path: this.#log.directory, state: 'closed' });
  }
}

function* nothing(): IoRoutine<void> {}

/** What is stored for a follower that begins at an LSN; `undefined` where its first event is not known yet. */
function positionAt(start: ReadFrom | ResumePoint): StoredPosition | undefined {
  if (typeof start === 'string') return undefined;
  return typeof start === 'object' ? start : { lsn: start };
}

/** What a tail takes: an LSN alone, or a resume point. */
function startAt({ lsn, segment, id, session }: StoredPosition): Lsn | ResumePoint {
  if (segment === undefined || id === undefined) return lsn;
  return { lsn, segment, id, ...(session === undefined ? {} : { session }) };
}
