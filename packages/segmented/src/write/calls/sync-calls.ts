import type { Lsn } from '@walstack/codec';
import { checkInteger } from '@walstack/codec/internal';
import { CompletionRouter, drive, type IoRoutine, type Outcome, runSync, type StorageIo } from '@walstack/storage-io';
import { afterStep } from '@walstack/storage-io/internal';
import type { CallQueues } from '../../call-queues.js';
import type { SegmentWriter } from '../segment-writer.js';
import type { LogEnd } from '../watermarks.js';
import type { FullDisk } from './full-disk.js';
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
  /** The error of a submitted sync that failed without failing the log; reported once. */
  #submitFailure: unknown;

  constructor(io: StorageIo, calls: CallQueues, writer: SegmentWriter, fullDisk: FullDisk, idleMarker: IdleMarker) {
    this.#io = io;
    this.#calls = calls;
    this.#writer = writer;
    this.#fullDisk = fullDisk;
    this.#idleMarker = idleMarker;
  }

  flush(): Promise<void> {
    return this.#calls.run(() => this.#flushing());
  }

  /** Like {@link flush}; a failure that it rejects with does not count as reported. */
  flushUnreported(): Promise<void> {
    return this.#calls.inTurn(() => this.#flushing());
  }

  flushSync(): void {
    this.#calls.runSync(() => this.#flushing());
  }

  sync(): Promise<void> {
    if (this.#queued !== undefined) return this.#queued;
    let begun = false;
    const submit = (): IoRoutine<LogEnd> => {
      begun = true;
      this.#queued = undefined;
      return this.#submitting();
    };
    const done = new Promise<void>((resolve, reject) => {
      this.#start(submit, (failure) => (failure === undefined ? resolve() : reject(this.#calls.reported(failure))));
    });
    if (!begun) this.#queued = done;
    return done;
  }

  start(ended: (failure: unknown) => void): void {
    this.startUnreported((failure) => ended(this.#calls.reported(failure)));
  }

  /** Like {@link start}; a failure that `ended` is called with does not count as reported. */
  startUnreported(ended: (failure: unknown) => void): void {
    this.#start(() => this.#submitting(), ended);
  }

  syncSync(): void {
    const submitted = this.#calls.runSync(() => this.#submitting());
    try {
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
    // The error of an earlier submitted sync is obsolete: this one makes the same records durable.
    this.#submitFailure = undefined;
    this.#calls.writes.start(
      () => this.#submitting(),
      (ended) => {
        if ('error' in ended) this.#submitFailure = ended.error;
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
    return false;
  }

  /** Called when a cut is done: LSNs submitted before it may belong to other records from now on. */
  onCut(): void {
    this.#submittedLsn = 0;
  }

  /** @param ended - called when what `submit` submits is durable, or with the error when it never will be */
  #start(submit: () => IoRoutine<LogEnd>, ended: (failure: unknown) => void): void {
    const notify = (failure: unknown): void => afterStep(() => ended(failure));
    const durable = (waited: Outcome<void>): void => {
      if ('error' in waited) {
        notify(waited.error);
        return;
      }
      try {
        this.#idleMarker.arm();
      } catch (error) {
        // `setTimer` of the application has thrown.
        notify(error);
        return;
      }
      notify(undefined);
    };
    const waiting = (submitted: Outcome<LogEnd>): void => {
      if ('error' in submitted) notify(submitted.error);
      else drive(CompletionRouter.for(this.#io), this.#writer.untilDurable(submitted.value), durable);
    };
    if (this.#calls.state === 'open') this.#calls.writes.start(submit, waiting);
    else notify(this.#calls.closedError());
  }

  *#flushing(): IoRoutine<void> {
    if (this.#calls.isReadonly) return;
    yield* this.#fullDisk.beginIfDeferred();
    yield* this.#writer.flush();
  }

  /** Starts the writes that make everything appended so far durable. */
  *#submitting(): IoRoutine<LogEnd> {
    // A read-only log cannot make durable what another process has written.
    if (this.#calls.isReadonly) return { ...this.#writer.appended, lastLsn: this.#writer.durableLsn };
    if (this.#fullDisk.noSpace !== undefined) yield* this.#fullDisk.beginIfDeferred();
    const submitted = this.#writer.appended;
    yield* this.#writer.submit();
    return submitted;
  }
}
