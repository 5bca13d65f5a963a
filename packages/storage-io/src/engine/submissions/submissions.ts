import { WalError } from '@walstack/codec';
import type { RingStats } from '@walstack/native';
import type { CompletionBuffer } from '../../completion-buffer.js';
import type { IoToken, StorageIoStats } from '../../storage-io.js';
import type { OpenFile } from '../files/open-file.js';
import { CompletionQueue } from './completion-queue.js';
import { ReadySignal } from './ready-signal.js';

/** The kinds of submission that the statistics distinguish. */
export type SubmissionKind = 'write' | 'durable-write' | 'read' | 'sync' | 'other';

/** The counters of a backend that its submissions change. */
interface Counters {
  submitted: number;
  completed: number;
  bytesWritten: number;
  bytesRead: number;
  syncs: number;
  durableBySync: number;
  queueFullEvents: number;
}

/**
 * Tracks every submission of one backend from its token to the poll that returns its completion: so that none is lost,
 * none is handed out twice, and a file with operations in flight is known to be busy.
 */
export class Submissions {
  readonly ready = new ReadySignal(() => this.#finished.length > 0);
  readonly #finished: CompletionQueue;
  readonly #maxPending: number;
  readonly #counters: Counters = {
    submitted: 0,
    completed: 0,
    bytesWritten: 0,
    bytesRead: 0,
    syncs: 0,
    durableBySync: 0,
    queueFullEvents: 0,
  };
  #pending = 0;
  /**
   * How many calls are on the stack from inside which no listener may be called: calls of the backend, or its calls of
   * an operation.
   */
  #calls = 0;
  /**
   * Whether completions are being fetched by a call that polls them itself, so that the listener need not be notified.
   */
  #notifySuppressed = false;
  #whenIdle: (() => void)[] = [];

  constructor(maxPending: number) {
    this.#maxPending = maxPending;
    this.#finished = new CompletionQueue(maxPending);
  }

  /** Submitted and not yet polled. */
  get pending(): number {
    return this.#pending;
  }

  /** Completed and not yet polled. */
  get finished(): number {
    return this.#finished.length;
  }

  /** Submitted and not yet completed. */
  get inFlight(): number {
    return this.#counters.submitted - this.#counters.completed;
  }

  /**
   * Begins a submission, and returns its token. {@link end} must follow in the same turn.
   *
   * @throws `WAL_QUEUE_FULL`, with nothing begun
   */
  begin(file: OpenFile<unknown> | undefined): IoToken {
    if (this.#pending >= this.#maxPending) throw this.#queueFull();
    if (file !== undefined) file.inFlight += 1;
    this.#pending += 1;
    this.#counters.submitted += 1;
    this.enter();
    return this.#counters.submitted;
  }

  /** Ends the call that began a submission. */
  end(token: IoToken): IoToken {
    this.leave();
    return token;
  }

  /** Until {@link leave}, notifications of the listener are scheduled for later instead of made at once. */
  enter(): void {
    this.#calls += 1;
  }

  leave(): void {
    this.#calls -= 1;
  }

  /** Runs a call of the backend that submits nothing. */
  during<T>(call: () => T): T {
    this.enter();
    try {
      return call();
    } finally {
      this.leave();
    }
  }

  /**
   * Until {@link resumeNotify}, completions are fetched by a call that polls them itself: the listener is not notified.
   */
  suppressNotify(): void {
    this.#notifySuppressed = true;
  }

  resumeNotify(): void {
    this.#notifySuppressed = false;
  }

  /** Notifies the listener if completions wait. Only when no call of the backend is on the stack. */
  notify(): void {
    if (this.#finished.length > 0) this.ready.notifyNow();
  }

  /** A submission has completed. */
  finish(token: IoToken, kind: SubmissionKind, result: number, file: OpenFile<unknown> | undefined): void {
    if (file !== undefined) {
      file.inFlight -= 1;
      if (file.inFlight === 0) file.writesEnd = 0;
    }
    this.#counters.completed += 1;
    if (result >= 0) this.#count(kind, result);
    this.#finished.push(token, result);
    if (this.inFlight === 0 && this.#whenIdle.length > 0) this.#resolveIdle();
    if (this.#notifySuppressed) return;
    if (this.#calls > 0) this.ready.notifyLater();
    else this.ready.notifyNow();
  }

  /** Hands out completions, the oldest first. */
  poll(out: CompletionBuffer): number {
    const count = this.#finished.moveInto(out);
    this.#pending -= count;
    if (this.#finished.length > 0) this.ready.notifyLater();
    return count;
  }

  /** Resolves when nothing is in flight. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      if (this.inFlight === 0) resolve();
      else this.#whenIdle.push(resolve);
    });
  }

  /** Drops the completions that were not polled. */
  drop(): void {
    this.#pending -= this.#finished.length;
    this.#finished.clear();
  }

  /** Counts a durable write that is carried out as a write and a datasync. */
  countDurableBySync(): void {
    this.#counters.durableBySync += 1;
  }

  stats(directRefused: number, ring: RingStats | undefined): StorageIoStats {
    const counters = { ...this.#counters, inFlight: this.inFlight, directRefused };
    return Object.freeze(ring === undefined ? counters : { ...counters, ring });
  }

  #count(kind: SubmissionKind, result: number): void {
    if (kind === 'write' || kind === 'durable-write') this.#counters.bytesWritten += result;
    else if (kind === 'read') this.#counters.bytesRead += result;
    if (kind === 'sync' || kind === 'durable-write') this.#counters.syncs += 1;
  }

  #queueFull(): WalError {
    this.#counters.queueFullEvents += 1;
    return new WalError(
      'WAL_QUEUE_FULL',
      `${this.#pending} submissions wait to be polled, which is the limit: poll their completions, then submit again`,
      { limit: this.#maxPending, actual: this.#pending + 1 },
    );
  }

  #resolveIdle(): void {
    const waiting = this.#whenIdle;
    this.#whenIdle = [];
    for (const resolve of waiting) resolve();
  }
}
