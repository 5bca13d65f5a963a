import { type Lsn, WalError } from '@walstack/codec';
import { checkOptions, outOfRange } from '@walstack/codec/internal';
import type { AppendOptions, Batch, SegmentedWal, TruncateResult } from '@walstack/segmented';
import { APPEND_OPTIONS, type BackgroundCalls, backgroundCallsOf, type LogEnd } from '@walstack/segmented/internal';
import { aborted, addCallers, checkSignal, unlessAborted } from '@walstack/storage-io/internal';
import type { PayloadCodec } from '../encoding.js';
import type { LogActivity } from '../follow/log-activity.js';
import type { LogContext } from '../log-context.js';
import type { FlushSettings } from '../options.js';
import { type Abortable, hasSignal, throwIfAborted } from './aborting.js';
import { BackgroundFlush } from './background-flush.js';
import { copyBytes, copyOptions, readOnce } from './copy-arguments.js';
import { type EventBatch, recordsOf } from './event-batch.js';
import { asWalError, GroupCommit } from './group-commit.js';
import { RoomQueue } from './room-queue.js';

/** The options of an event, and a signal that ends waiting for it. */
export interface CommitOptions extends AppendOptions, Abortable {}

const COMMIT_OPTIONS = Object.freeze([...APPEND_OPTIONS, 'signal'] as const);

/**
 * Appends events, at once or once there is room in memory, and resolves the calls that wait until they are durable. Its
 * calls are those of a `Wal` with these names, which checks first whether the state of the log allows them.
 */
export class Committer<I> {
  readonly #log: SegmentedWal;
  readonly #calls: BackgroundCalls;
  readonly #payloads: Pick<PayloadCodec<unknown, I>, 'encode' | 'readsOptions'>;
  readonly #activity: LogActivity;
  readonly #isReadonly: boolean;
  readonly #roomQueue = new RoomQueue();
  readonly #groups: GroupCommit;
  readonly #background: BackgroundFlush;
  /** Resolves when all running cuts have ended. */
  #cutsSettled: Promise<unknown> = Promise.resolve();

  constructor(
    context: LogContext,
    payloads: Pick<PayloadCodec<unknown, I>, 'encode' | 'readsOptions'>,
    flush: FlushSettings,
  ) {
    const { log, activity, setTimer, isReadonly } = context;
    this.#log = log;
    this.#calls = backgroundCallsOf(log);
    this.#payloads = payloads;
    this.#activity = activity;
    this.#isReadonly = isReadonly;
    this.#groups = new GroupCommit(log, this.#roomQueue, activity, setTimer);
    this.#background = new BackgroundFlush(log, flush, setTimer, () => this.#groups.resolveDurable());
  }

  /** The number of commits that were resolved. */
  get served(): number {
    return this.#groups.served;
  }

  /** The number of calls that wait for durability. */
  get waiting(): number {
    return this.#groups.waiting;
  }

  /** The number of calls that wait for room in memory. */
  get waitingForRoom(): number {
    return this.#roomQueue.size;
  }

  append(payload: I, given: AppendOptions | undefined): Lsn {
    if (this.#roomQueue.isClosed) throw this.#refusal();
    const options = this.#payloads.readsOptions ? readOnce(given, APPEND_OPTIONS) : given;
    const encoded = this.#payloads.encode(payload, options);
    let lsn: Lsn;
    try {
      lsn = this.#log.append(encoded, options);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) this.#roomQueue.refused();
      throw error;
    }
    this.#background.appended();
    return lsn;
  }

  appendBatch(batch: Batch | EventBatch<I>): Lsn {
    if (this.#roomQueue.isClosed) throw this.#refusal();
    let lsn: Lsn;
    try {
      lsn = this.#log.appendBatch(recordsOf(batch));
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) this.#roomQueue.refused();
      throw error;
    }
    this.#background.appended();
    return lsn;
  }

  /** Throws, or returns a promise: one instead of three for a commit makes a difference with many commits. */
  commit(payload: I, given: CommitOptions | undefined): Promise<Lsn> {
    if (given !== undefined && hasSignal(given)) return this.#commitUnlessAborted(payload, given);
    const options = this.#payloads.readsOptions ? readOnce(given, COMMIT_OPTIONS) : given;
    const encoded = this.#payloads.encode(payload, options);
    const lsn = this.#roomQueue.isClosed ? undefined : this.#tryAppend(encoded, options);
    return lsn === undefined ? this.#commitInTurn(encoded, options) : this.#groups.wait(lsn);
  }

  async commitBatch(batch: Batch | EventBatch<I>, signal: AbortSignal | undefined): Promise<Lsn> {
    throwIfAborted(signal, NOTHING_APPENDED);
    const records = recordsOf(batch);
    const lsn = this.#roomQueue.isClosed ? undefined : this.#tryAppendBatch(records);
    try {
      return await this.#durableUnlessAborted(lsn ?? (await this.#appendBatchInTurn(records, signal)), signal);
    } catch (error) {
      throw addCallers(error);
    }
  }

  /** Appends bytes as they are, at once or, with a copy, once there is room in memory. Not durable. Throws, or rejects. */
  appendStored(payload: Uint8Array, options: AppendOptions): Lsn | Promise<Lsn> {
    const lsn = this.#roomQueue.isClosed ? undefined : this.#tryAppend(payload, options);
    return lsn ?? this.#appendInTurn(payload, options);
  }

  /** The same for a batch of bytes. */
  appendStoredBatch(batch: Batch): Lsn | Promise<Lsn> {
    const lsn = this.#roomQueue.isClosed ? undefined : this.#tryAppendBatch(batch);
    return lsn ?? this.#appendBatchInTurn(batch, undefined);
  }

  /** Throws, or returns a promise. */
  durable(lsn: Lsn, signal: AbortSignal | undefined): Promise<Lsn> {
    const { lastLsn } = this.#log;
    if (lsn > lastLsn) throw outOfRange('lsn', `at most ${lastLsn}, the last LSN`, lsn);
    // A read-only log cannot make anything durable: throws the error for that.
    if (this.#isReadonly) this.#log.throwIfFull();
    return this.#durableUnlessAborted(lsn, signal, true);
  }

  /** Waits for a record as its commit does: it rejects when the disk is full. */
  committed(lsn: Lsn): Promise<Lsn> {
    return this.#groups.wait(lsn);
  }

  /** Throws, or returns a promise. */
  ready(signal: AbortSignal | undefined): Promise<void> {
    throwIfAborted(signal, 'the wait for room was aborted');
    const entered = this.#roomQueue.enter(() => this.#log.throwIfFull(), signal);
    if (this.#roomQueue.size > 0) this.#groups.start();
    return entered;
  }

  /** Resolves what has become durable, after another operation of the log than a commit. */
  resolveDurable(): void {
    this.#groups.resolveDurable();
  }

  /** Cuts off the end of the log. No call is admitted until it is done, so all waiting commits precede the cut. */
  runCut(cut: () => Promise<TruncateResult>): Promise<TruncateResult> {
    const { lastLsn } = this.#log;
    this.#roomQueue.pause();
    const done = cut().finally(() => {
      // A failure may come after the cut itself, when files are removed: the last LSN tells whether the log was cut.
      if (this.#log.lastLsn === lastLsn) this.#groups.resolveDurable();
      else this.#groups.resolveBeforeCut(lastLsn);
      this.#roomQueue.resume();
      this.#groups.start();
      this.#activity.notify();
    });
    // A call that is rejected at once must not hide one that is under way.
    this.#cutsSettled = Promise.allSettled([this.#cutsSettled, done]);
    return done;
  }

  /** The present end of the log. */
  get appended(): LogEnd {
    return this.#calls.appended;
  }

  /** Whether everything up to an end is durable, or was before it was cut off: of a read-only log, all that it can read. */
  isDurable(end: LogEnd): boolean {
    return this.#isReadonly || this.#calls.isDurable(end);
  }

  /** Stops writing in the background, before the log is closed. */
  stopBackgroundFlush(): void {
    this.#background.end();
    this.#groups.endRetrying();
  }

  /** Syncs until no call waits. @returns the failure that prevented it */
  async drain(): Promise<WalError | undefined> {
    if (this.#isReadonly) return undefined;
    try {
      do {
        await this.#cutsSettled;
        await this.#sync();
        this.#groups.resolveDurable();
      } while (this.#log.durableLsn < this.#log.lastLsn || this.#roomQueue.size > 0);
      return undefined;
    } catch (error) {
      return this.#log.failure ?? asWalError(error);
    }
  }

  /** Notes that a call of the application rejects with this error, which may be the failure of the log. */
  reported(error: WalError): void {
    this.#calls.reported(error);
  }

  /** Rejects all waiting calls, except commits that are durable already: these resolve. */
  rejectAll(error: WalError): void {
    this.#groups.rejectAll(error);
  }

  #sync(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#calls.startSync((failure) => (failure === undefined ? resolve() : reject(failure)));
    });
  }

  /** Appends, or returns `undefined` when there is no room in memory. */
  #tryAppend(encoded: Uint8Array | string, options: AppendOptions | undefined): Lsn | undefined {
    try {
      return this.#log.append(encoded, options);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return undefined;
      // An option that the log does not know may be a misspelt `signal`, which only this call has.
      if (options !== undefined && error instanceof TypeError)
        checkOptions<CommitOptions>('options', options, COMMIT_OPTIONS);
      throw error;
    }
  }

  #tryAppendBatch(records: Batch): Lsn | undefined {
    try {
      return this.#log.appendBatch(records);
    } catch (error) {
      if (WalError.is(error, 'WAL_BACKPRESSURE')) return undefined;
      throw error;
    }
  }

  /** Commits a copy of the event once there is room in memory. */
  async #commitInTurn(encoded: Uint8Array | string, options: AppendOptions | undefined): Promise<Lsn> {
    return this.#groups.wait(await this.#appendInTurn(encoded, options));
  }

  async #commitUnlessAborted(payload: I, given: CommitOptions): Promise<Lsn> {
    const { signal, ...options } = checkOptions('options', given, COMMIT_OPTIONS);
    checkSignal(signal);
    throwIfAborted(signal, NOTHING_APPENDED);
    const encoded = this.#payloads.encode(payload, options);
    const lsn = this.#roomQueue.isClosed ? undefined : this.#tryAppend(encoded, options);
    try {
      return await this.#durableUnlessAborted(lsn ?? (await this.#appendInTurn(encoded, options, signal)), signal);
    } catch (error) {
      throw addCallers(error);
    }
  }

  /** Appends a copy of the event once there is room in memory. */
  #appendInTurn(encoded: Uint8Array | string, options: AppendOptions | undefined, signal?: AbortSignal): Promise<Lsn> {
    const copy = copyBytes('payload', encoded);
    const copiedOptions = options === undefined ? undefined : copyOptions(options);
    const entered = this.#roomQueue.enter(() => this.#log.append(copy, copiedOptions), signal);
    this.#groups.start();
    return entered;
  }

  /** Appends the records of a batch once there is room in memory. If that fails, the batch gets them back. */
  async #appendBatchInTurn(batch: Batch, signal: AbortSignal | undefined): Promise<Lsn> {
    const records = batch.take();
    try {
      const entered = this.#roomQueue.enter(() => this.#log.appendBatch(records), signal);
      this.#groups.start();
      return await entered;
    } catch (error) {
      batch.giveBack();
      throw error;
    }
  }

  #durableUnlessAborted(lsn: Lsn, signal: AbortSignal | undefined, isPatient = false): Promise<Lsn> {
    return unlessAborted(this.#groups.wait(lsn, signal, isPatient), signal, (by) => notWaitedFor(by, lsn));
  }

  /** The error of `append` while other calls wait, or a cut is under way. */
  #refusal(): WalError {
    if (this.#roomQueue.size > 0) return mustWaitInTurn();
    const what = 'a truncateAfter or resetTo is under way: nothing was appended; await it first';
    return new WalError('WAL_STATE', what, { operation: 'append', state: 'truncating' });
  }
}

const NOTHING_APPENDED = 'the commit was aborted before it began: nothing was appended';

function mustWaitInTurn(): WalError {
  const what = 'other calls wait for room already: nothing was appended; await ready() first';
  return new WalError('WAL_BACKPRESSURE', what, { operation: 'append' });
}

/** The error of an aborted wait for a commit, whose event is appended. */
function notWaitedFor(signal: AbortSignal, lsn: Lsn): WalError {
  return aborted(signal, `the wait for LSN ${lsn} was aborted: it is appended, and may be durable or become so`, {
    lsn,
    reason: 'outcome-unknown',
  });
}
