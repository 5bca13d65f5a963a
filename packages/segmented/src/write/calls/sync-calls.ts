import type { Lsn } from '@walstack/codec';
import { checkInteger } from '@walstack/codec/internal';
import { CompletionRouter, type IoRoutine, type Outcome, runSync, type StorageIo } from '@walstack/storage-io';
import { afterStep } from '@walstack/storage-io/internal';
import type { CallQueues } from '../../call-queues.js';
import type { FullDisk } from '../full-disk.js';
import type { SegmentWriter } from '../segment-writer.js';
import type { LogEnd } from '../watermarks.js';
import type { IdleMarker } from './idle-marker.js';

/** The calls that flush a log or make it durable: they start the writes in the write queue, and wait for them beside it. */
export class SyncCalls {
  readonly #io: StorageIo;
  readonly #calls: CallQueues;
  readonly #writer: SegmentWriter;
  readonly #fullDisk: FullDisk;
  readonly #idleMarker: IdleMarker;
  /** The sync that waits in the write queue: calls made meanwhile share it. */
  #queued: Promise<void> | undefined;
  /** The last LSN of the last sync submitted since the last cut; 0 for none. */
  #submittedLsn = 0;
  /** The number of submitted syncs. */
  #submitted = 0;
  /** The error of the last submitted sync, when that failed without failing the log; reported once. */
  #submitFailure: unknown;

  constructor(io: StorageIo, calls: CallQueues, writer: SegmentWriter, fullDisk: FullDisk, idleMarker: IdleMarker) {
    this.#io = io;
    this.#calls = calls;
    this.#writer = writer;
    this.#fullDisk = fullDisk;
    this.#idleMarker = idleMarker;
  }

  flush(): Promise<void> {
    return this.#calls.run(() => this.#writer.leavingOutMarks(this.#flushing()));
  }

  /** Like {@link flush}; a failure that it rejects with does not count as reported. */
  flushUnreported(): Promise<void> {
    return this.#calls.inTurn(() => this.#flushing());
  }

  flushSync(): void {
    this.#calls.runSync(() => this.#writer.leavingOutMarks(this.#flushing()));
  }

  sync(): Promise<void> {
    if (this.#queued !== undefined) return this.#queued;
    let begun = false;
    const begins = (): void => {
      begun = true;
      this.#queued = undefined;
    };
    const done = new Promise<void>((resolve, reject) => {
      this.#start(begins, (failure) => (failure === undefined ? resolve() : reject(this.#calls.reported(failure))));
    });
    if (!begun) this.#queued = done;
    return done;
  }

  start(ended: (failure: unknown) => void): void {
    this.startUnreported((failure) => ended(this.#calls.reported(failure)));
  }

  /** Like {@link start}; a failure that `ended` is called with does not count as reported. */
  startUnreported(ended: (failure: unknown) => void): void {
    this.#start(undefined, ended);
  }

  syncSync(): void {
    this.#calls.throwUnlessOpen();
    this.#calls.writes.requireTurn();
    try {
      const submitted = this.#submitAtOnce() ?? this.#calls.inTurnSync(() => this.#submitting());
      runSync(this.#io, this.#writer.untilDurable(submitted));
    } catch (error) {
      throw this.#calls.reported(error);
    }
    this.#idleMarker.arm();
  }

  submit(): Lsn {
    this.#calls.throwUnlessOpen();
    this.#calls.throwIfFailed();
    // A read-only log cannot make durable what another process has written.
    const lastLsn = this.#calls.isReadonly ? this.#writer.durableLsn : this.#writer.appended.lastLsn;
    this.#submittedLsn = lastLsn;
    // The error of an earlier submitted sync is obsolete, also one that comes later: this one makes the same records durable.
    this.#submitFailure = undefined;
    const submitted = ++this.#submitted;
    this.#calls.writes.start(
      () => this.#submitting(),
      (ended) => {
        if ('error' in ended && submitted === this.#submitted) this.#submitFailure = ended.error;
      },
    );
    return lastLsn;
  }

  checkCompletions(lsn: Lsn): boolean {
    this.#calls.throwUnlessOpen();
    CompletionRouter.for(this.#io).drain();
    if (this.#writer.durableLsn >= checkInteger('lsn', lsn)) {
      this.#idleMarker.arm();
      return true;
    }
    // A cut makes the records durable that it drops. But LSNs submitted since then belong to other records.
    if (lsn <= this.#writer.droppedLsn && lsn > this.#submittedLsn) return true;
    this.#calls.throwIfFailed();
    const failure = this.#submitFailure;
    this.#submitFailure = undefined;
    if (failure !== undefined) throw failure;
    const { noSpace } = this.#writer;
    // While the write queue runs, it may be written by now.
    if (noSpace !== undefined && this.#calls.writes.idle) throw this.#calls.reported(noSpace);
    return false;
  }

  /** Called when a cut is done: LSNs submitted before it may belong to other records from now on. */
  onCut(): void {
    this.#submittedLsn = 0;
  }

  /**
   * @param begins - called when the groups that are started include everything appended before that
   * @param ended - called when all of that is durable, or with the error when it never will be
   */
  #start(begins: (() => void) | undefined, ended: (failure: unknown) => void): void {
    const notify = (failure: unknown): void => afterStep(() => ended(failure));
    // Arming calls `setTimer` of the application: behind the step.
    const durable = (failure: unknown): void => afterStep(() => ended(failure ?? this.#armed()));
    if (this.#calls.state !== 'open') {
      notify(this.#calls.closedError());
      return;
    }
    let submitted: LogEnd | undefined;
    try {
      submitted = this.#submitAtOnce();
    } catch (error) {
      begins?.();
      notify(error);
      return;
    }
    if (submitted !== undefined) {
      begins?.();
      this.#writer.whenDurable(submitted, durable);
      return;
    }
    const submit = (): IoRoutine<LogEnd> => {
      begins?.();
      return this.#submitting();
    };
    // Registered in its last step: what is submitted at once by a callback behind that step is behind it.
    this.#calls.writes.startWithin(submit, (outcome: Outcome<LogEnd>) => {
      if ('error' in outcome) notify(outcome.error);
      else this.#writer.whenDurable(outcome.value, durable);
    });
  }

  /** Arms the idle marker. @returns what `setTimer` of the application has thrown */
  #armed(): unknown {
    try {
      this.#idleMarker.arm();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  /** Starts the write of everything appended so far, if nothing has to be waited for before. */
  #submitAtOnce(): LogEnd | undefined {
    const { writes, isReadonly } = this.#calls;
    if (isReadonly || this.#fullDisk.noSpace !== undefined || !writes.idle) return undefined;
    const submitted = this.#writer.appended;
    return writes.runAtOnce(() => this.#writer.submitAtOnce()) ? submitted : undefined;
  }

  *#flushing(): IoRoutine<void> {
    if (this.#calls.isReadonly) return;
    yield* this.#fullDisk.findRoom();
    yield* this.#writer.flush();
  }

  /** Starts the writes that make everything appended so far durable. */
  *#submitting(): IoRoutine<LogEnd> {
    // A read-only log cannot make durable what another process has written.
    if (this.#calls.isReadonly) return { ...this.#writer.appended, lastLsn: this.#writer.durableLsn };
    if (this.#fullDisk.noSpace !== undefined) yield* this.#fullDisk.findRoom();
    const submitted = this.#writer.appended;
    yield* this.#writer.leavingOutMarks(this.#writer.submit());
    return submitted;
  }
}
