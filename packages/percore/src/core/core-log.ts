import { WalError } from '@walstack/codec';
import { type Environment, type SegmentedWal, systemEnvironment } from '@walstack/segmented';
import { type Committed, encodeCommit } from '../commits/commit.js';
import { CommitLedger } from '../commits/commit-ledger.js';
import { type CoreState, initialState } from './core-state.js';
import { encodeBarrier, OperationCode } from './entries/entry.js';
import { EntryAppender } from './entries/entry-appender.js';
import { BarrierHistory } from './epochs/barrier-history.js';
import { EpochCursor } from './epochs/epoch-cursor.js';
import type { SharedEpochs } from './epochs/epochs.js';

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** What a {@link CoreLog} is made with, besides the log and its state. */
interface CoreLogOptions {
  /** The epochs that it shares with other logs. Default: epochs of its own. */
  readonly epochs?: SharedEpochs;
  readonly now?: Environment['now'];
  /** It belongs to a manager: its barriers prove that there is a manifest. Default `false`. */
  readonly managed?: boolean;
}

/**
 * The open log of one core: puts every entry into an epoch, and a barrier before the first entry of each epoch; keeps what
 * was committed. A `CoreWalWriter` is its public form, with checked arguments and syncs.
 */
export class CoreLog {
  readonly coreId: number;
  readonly log: SegmentedWal;
  readonly epochs: EpochCursor;
  readonly barriers: BarrierHistory;
  /** What was committed last, and in which entries. */
  readonly ledger: CommitLedger;
  readonly #entries: EntryAppender;
  readonly #managed: boolean;

  /** @param state - of the log at its end @throws `RangeError` for shared epochs that are behind those of the log */
  constructor(
    log: SegmentedWal,
    coreId: number,
    state: CoreState,
    { epochs, now = systemEnvironment.now, managed = false }: CoreLogOptions,
  ) {
    this.coreId = coreId;
    this.log = log;
    // Entries after the last barrier belong to an epoch that has no barrier yet.
    this.epochs = new EpochCursor(epochs, Math.max(state.epoch, state.barrierEpoch + 1));
    this.barriers = new BarrierHistory(state.retired ? state.lsn : undefined);
    this.ledger = new CommitLedger(state.committed, state.commitPlaces);
    this.#entries = new EntryAppender(log, coreId, state.timestampUs, now);
    this.#managed = managed;
  }

  /** The position after the last entry. */
  get position(): number {
    return this.#entries.position;
  }

  /**
   * Appends an entry, after the barrier that precedes the first entry of an epoch when a new one has begun.
   *
   * @returns the position after it
   * @throws when it was not appended; `WAL_STATE` after the core's last barrier
   */
  append(operation: number, key: Uint8Array, value: Uint8Array): number {
    this.#enterEpoch();
    return this.#entries.append(operation, key, value, this.epochs.entered);
  }

  /** Appends a commit. @throws like {@link append}; `RangeError` for a name that is too long */
  appendCommit(commit: Committed): number {
    const value = encodeCommit(commit);
    const position = this.append(OperationCode.commit, NO_BYTES, value);
    this.ledger.add(commit, this.epochs.entered, this.log.lastLsn);
    return position;
  }

  /** Appends everything that is committed again, to the epoch of the last entry. @throws like {@link append} */
  repeatCommits(): void {
    const { ledger } = this;
    const epoch = this.epochs.entered;
    this.#entries.append(OperationCode.commit, NO_BYTES, encodeCommit(ledger.committed), epoch);
    ledger.add(ledger.committed, epoch, this.log.lastLsn);
  }

  /**
   * Ends an epoch: with shared epochs the one before the current one, if its barrier is missing; otherwise the one before
   * the epoch that was set, or the one of the last entry.
   *
   * @param last - ends the current epoch, with the last barrier of the core
   * @returns the position after the last entry
   * @throws like {@link append}
   */
  appendBarrier(last: boolean): number {
    this.#throwIfRetired();
    const { epochs } = this;
    if (last) {
      // Append the barrier of the epoch before first if it is missing: the manager may be about to ask for it.
      if (epochs.isShared) this.#enterEpoch();
      // Based on the epoch entered above: the shared one may have advanced since.
      this.#beginEpoch(Math.max(epochs.wanted, epochs.entered) + 1, true);
    } else {
      if (!epochs.isShared) epochs.setNext();
      this.#enterEpoch();
    }
    return this.position;
  }

  /**
   * Appends a barrier before an epoch, even if the log ends with one.
   *
   * @returns the state of the log after it
   * @throws like {@link append}
   */
  beginEpoch(epoch: number, last: boolean): CoreState {
    this.#beginEpoch(epoch, last);
    const { committed, places: commitPlaces } = this.ledger;
    return {
      ...initialState(this.log.lastLsn),
      epoch: epoch - 1,
      barrierEpoch: epoch - 1,
      timestampUs: this.#entries.timestampUs,
      committed,
      commitPlaces,
      retired: last,
      retiredByManager: last,
      used: true,
    };
  }

  /** Removes what was committed before the barrier with an LSN. */
  forgetCommitted(lsn: number): void {
    this.ledger.forgetBefore(lsn);
    this.barriers.forgetCommitted(lsn);
  }

  #enterEpoch(): void {
    this.#throwIfRetired();
    const { epochs } = this;
    if (epochs.mustEnter()) this.#beginEpoch(epochs.wanted, false);
  }

  /** Appends the barrier before an epoch. The barrier belongs to the epoch that it ends. */
  #beginEpoch(epoch: number, last: boolean): void {
    const value = encodeBarrier(last, this.#managed);
    const position = this.#entries.append(OperationCode.epochBarrier, NO_BYTES, value, epoch - 1);
    this.epochs.enter(epoch);
    const { committed, places: commitPlaces } = this.ledger;
    const { timestampUs } = this.#entries;
    const { lastLsn: lsn } = this.log;
    this.barriers.add({ epoch: epoch - 1, lsn, position, timestampUs, committed, commitPlaces, retired: last });
    if (last) this.ledger.markRetired();
  }

  #throwIfRetired(): void {
    if (!this.barriers.isRetired) return;
    const message = `core ${this.coreId} has appended its last barrier: open it again to append more`;
    throw new WalError('WAL_STATE', message, { state: 'left' });
  }
}
