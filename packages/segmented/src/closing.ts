import { MarkType, WalError } from '@walstack/codec';
import { checkBoolean, checkOptions } from '@walstack/codec/internal';
import type { IoRoutine, StorageIo } from '@walstack/storage-io';
import { releaseBackend } from '@walstack/storage-io/internal';
import type { CallQueues } from './call-queues.js';
import type { ReadCalls } from './read/read-calls.js';
import type { Truncation } from './retention/truncation.js';
import type { IdleMarker } from './write/calls/idle-marker.js';
import type { SegmentWriter } from './write/segment-writer.js';

/** How a log is closed. */
export interface CloseOptions {
  /** Discard everything appended and not yet written. Default `false`. */
  readonly discard?: boolean;
}

/** What closing a log ends. */
export interface ClosedParts {
  readonly io: StorageIo;
  /** Whether the log has opened the backend and has to dispose of it. */
  readonly ownsIo: boolean;
  readonly unlock: () => void;
  readonly calls: CallQueues;
  readonly writer: SegmentWriter;
  readonly idleMarker: IdleMarker;
  readonly reads: ReadCalls;
  readonly truncation: Truncation;
}

/** Closes a log, behind everything in its queues, and reports its failure if no call has. */
export class Closing {
  readonly #parts: ClosedParts;
  #closing: Promise<void> | undefined;
  /** What a call had reported of the log when it was closed: another failure is reported by closing it. */
  #reported: WalError | undefined;

  constructor(parts: ClosedParts) {
    this.#parts = parts;
  }

  async close(options: CloseOptions): Promise<void> {
    const discard = checkClose(options);
    this.#closing ??= this.#close(discard);
    await this.#closing;
  }

  closeSync(options: CloseOptions): void {
    const discard = checkClose(options);
    const { calls } = this.#parts;
    if (calls.state === 'closed') return;
    calls.writes.requireTurn();
    calls.maintenance.requireTurn();
    calls.backups.requireTurn();
    if (calls.state === 'closing') {
      calls.maintenance.runSync(nothing);
      return;
    }
    this.#begin();
    try {
      calls.maintenance.runSync(() => this.#closeBehindAll(discard));
    } finally {
      this.#closing = this.#disposeBackend();
      // A later `close()` awaits this promise and reports its error.
      this.#closing.catch(() => {});
    }
  }

  async #close(discard: boolean): Promise<void> {
    this.#begin();
    const { calls } = this.#parts;
    try {
      await calls.maintenance.run(() => this.#closeBehindAll(discard));
    } finally {
      await this.#disposeBackend();
    }
  }

  #begin(): void {
    const { calls, idleMarker, reads } = this.#parts;
    calls.state = 'closing';
    this.#reported = calls.reportedReason;
    idleMarker.stop();
    reads.end();
  }

  *#closeBehindAll(discard: boolean): IoRoutine<void> {
    const { calls } = this.#parts;
    // A backup ends at its next step, as the log is being closed; one from whose function this is called, when that returns.
    if (!calls.isReporting) yield* calls.backups.join(nothing);
    yield* calls.writes.join(() => this.#closeLog(discard));
  }

  *#closeLog(discard: boolean): IoRoutine<void> {
    const { calls, writer, unlock } = this.#parts;
    try {
      if (writer.failure !== undefined || calls.isReadonly) {
        yield* writer.releaseFiles();
        if (writer.failure !== this.#reported) this.#throwIfOwed(discard);
        return;
      }
      yield* this.#closeWriter(discard);
    } finally {
      calls.state = 'closed';
      unlock();
    }
  }

  *#closeWriter(discard: boolean): IoRoutine<void> {
    const { writer } = this.#parts;
    const { noSpace } = writer;
    try {
      yield* this.#takeBack();
      yield* writer.close(MarkType.closed, discard);
    } catch (error) {
      // A call has reported that its records wait for room, and there is still none.
      if (noSpace === undefined || error !== noSpace || this.#reported !== noSpace) throw error;
    }
  }

  /** Ends a truncation that was given up. Where there is no room for that, the next opening does it. */
  *#takeBack(): IoRoutine<void> {
    try {
      yield* this.#parts.truncation.takeBack();
    } catch (error) {
      if (WalError.is(error, 'WAL_NO_SPACE')) return;
      // The log has failed by that: it is not closed by its writer any more.
      yield* this.#parts.writer.releaseFiles();
      throw error;
    }
  }

  /** @throws a failure that no call has reported: of the background, or of a call that ended behind the one that closes */
  #throwIfOwed(discard: boolean): void {
    const { failure, durableLsn, takenLsn, nextLsn } = this.#parts.writer;
    if (failure !== undefined && durableLsn < (discard ? takenLsn : nextLsn) - 1) throw failure;
  }

  /** Disposes of a backend that the log has opened, once all its completions were processed. */
  async #disposeBackend(): Promise<void> {
    const { io, ownsIo } = this.#parts;
    await releaseBackend({ io, owned: ownsIo });
  }
}

/** Whether closing discards what was not written. @throws `TypeError` with Node's codes */
export function checkClose(options: CloseOptions): boolean {
  const { discard = false } = checkOptions('options', options, ['discard']);
  return checkBoolean('discard', discard);
}

/** A routine that does nothing: running it in a queue waits for the routines before it. */
function* nothing(): IoRoutine<void> {}
