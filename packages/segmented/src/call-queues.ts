import { WalError } from '@walstack/codec';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { RoutineQueue } from '@walstack/storage-io/internal';
import { closedError, insideBackup, readonlyError } from './log-errors.js';
import type { SegmentWriter } from './write/segment-writer.js';

/** Runs the calls of a log in its queues while it is open, and notes whether one of them has reported its failure. */
export class CallQueues {
  /** The write queue: routines that must not run concurrently with groups. */
  readonly writes: RoutineQueue;
  /** The maintenance queue: truncation, checkpoints and holds, concurrently with the write queue. */
  readonly maintenance: RoutineQueue;
  /** Backups, concurrently with everything else. */
  readonly backups: RoutineQueue;
  /** Whether a backup is calling a function of the application, and continues when that returns. */
  isReporting = false;
  state: 'open' | 'closing' | 'closed' = 'open';
  readonly isReadonly: boolean;
  readonly #directory: string;
  readonly #writer: SegmentWriter;
  #failureIsReported = false;
  /** Why records waited for room on the disk, once a call that writes has thrown it or rejected with it. */
  #reportedNoSpace: WalError | undefined;

  constructor(io: StorageIo, directory: string, isReadonly: boolean, writer: SegmentWriter) {
    this.writes = new RoutineQueue(io);
    this.maintenance = new RoutineQueue(io);
    this.backups = new RoutineQueue(io);
    this.isReadonly = isReadonly;
    this.#directory = directory;
    this.#writer = writer;
  }

  /**
   * The failure of the log, or why records wait for room, if a call that writes has thrown or rejected with it: if they still wait
   * when it is closed, that is its failure. A failure behind that is another one.
   */
  get reportedReason(): WalError | undefined {
    const { failure, noSpace } = this.#writer;
    if (this.#failureIsReported) return failure;
    return noSpace === this.#reportedNoSpace ? noSpace : undefined;
  }

  /** Runs a routine in the write queue whose rejection with the failure does not count as its report: of calls that read. */
  inTurn<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.state !== 'open') return Promise.reject(this.closedError());
    return this.writes.run(make);
  }

  inTurnSync<T>(make: () => IoRoutine<T>): T {
    this.throwUnlessOpen();
    return this.writes.runSync(make);
  }

  run<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.state !== 'open') return Promise.reject(this.closedError());
    return this.#reporting(this.writes, make);
  }

  runSync<T>(make: () => IoRoutine<T>): T {
    try {
      return this.inTurnSync(make);
    } catch (error) {
      throw this.reported(error);
    }
  }

  runMaintenance<T>(make: () => IoRoutine<T>): Promise<T> {
    return this.#runOwned(this.maintenance, make);
  }

  runMaintenanceSync<T>(make: () => IoRoutine<T>): T {
    return this.#runOwnedSync(this.maintenance, make);
  }

  /** Also of a log that is only read: its backup changes nothing but the directory of the backup. */
  runBackup<T>(make: () => IoRoutine<T>): Promise<T> {
    if (this.state !== 'open') return Promise.reject(this.closedError());
    return this.#reporting(this.backups, make);
  }

  runBackupSync<T>(make: () => IoRoutine<T>): T {
    this.throwUnlessOpen();
    if (this.isReporting) throw insideBackup(this.#directory);
    return this.#runInTurnSync(this.backups, make);
  }

  /** Notes that a call of the application that writes reports this error, which may be the failure of the log. @returns it */
  reported(error: unknown): unknown {
    const { failure, noSpace } = this.#writer;
    const reason = failure ?? noSpace;
    if (reason === undefined || (error !== reason && !(WalError.is(error) && error.cause === reason))) return error;
    if (failure === undefined) this.#reportedNoSpace = noSpace;
    else this.#failureIsReported = true;
    return error;
  }

  #runOwned<T>(queue: RoutineQueue, make: () => IoRoutine<T>): Promise<T> {
    if (this.state !== 'open') return Promise.reject(this.closedError());
    if (this.isReadonly) return Promise.reject(readonlyError(this.#directory));
    return this.#reporting(queue, make);
  }

  #runOwnedSync<T>(queue: RoutineQueue, make: () => IoRoutine<T>): T {
    this.throwUnlessOwned();
    return this.#runInTurnSync(queue, make);
  }

  #runInTurnSync<T>(queue: RoutineQueue, make: () => IoRoutine<T>): T {
    // The routine may have to join the write queue.
    this.writes.requireTurn();
    try {
      return queue.runSync(make);
    } catch (error) {
      throw this.reported(error);
    }
  }

  /** Notes the failure when the routine ends, and not in a later microtask: `close` may be called before that one. */
  #reporting<T>(queue: RoutineQueue, make: () => IoRoutine<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      queue.start(make, (ended) => {
        if ('error' in ended) reject(this.reported(ended.error));
        else resolve(ended.value);
      });
    });
  }

  /** @throws the failure of the log, for a call that writes */
  throwIfFailed(): void {
    if (this.#writer.failure === undefined) return;
    this.#failureIsReported = true;
    this.#writer.throwIfFailed();
  }

  throwUnlessOpen(): void {
    if (this.state !== 'open') throw this.closedError();
  }

  /** @throws when the log is closed or read-only */
  throwUnlessOwned(): void {
    this.throwUnlessOpen();
    if (this.isReadonly) throw readonlyError(this.#directory);
  }

  closedError(): WalError {
    return closedError(this.#directory, this.state);
  }
}
