import { WalError } from '@walstack/codec';
import type { CoreLog } from './core-log.js';

/** The end of the entries that a sync covers. */
interface SyncBoundary {
  readonly lsn: number;
  readonly position: number;
}

/** Syncs the log of a core, and keeps which entries the syncs have covered. */
export class SyncTracker {
  readonly #core: CoreLog;
  #position: number;
  #lsn: number;
  /** What the submitted sync covers whose completion was not seen yet. */
  #pending: SyncBoundary | undefined;
  #tokens = 0;

  /** @param core - what is not durable in it was appended when it was opened, and waits for room on the disk */
  constructor(core: CoreLog) {
    const { log, position } = core;
    this.#core = core;
    this.#lsn = log.durableLsn;
    this.#position = log.durableLsn === log.lastLsn ? position : log.durablePosition;
  }

  /** Every entry before this position is synced. */
  get syncedPosition(): number {
    return this.#position;
  }

  /** The number of entries after {@link syncedPosition}. */
  get entriesSinceSync(): number {
    return this.#core.log.lastLsn - this.#lsn;
  }

  /** Whether a sync was submitted whose completion {@link check} has not seen yet. */
  get isPending(): boolean {
    return this.#pending !== undefined;
  }

  /** Makes everything appended so far durable. */
  async sync(): Promise<void> {
    const boundary = this.#boundary();
    await this.#core.log.sync();
    this.#synced(boundary);
  }

  /** Like {@link sync}, blocking the thread. */
  syncSync(): void {
    const boundary = this.#boundary();
    this.#core.log.syncSync();
    this.#synced(boundary);
  }

  /** Begins to make everything appended so far durable. @returns a token @throws `WAL_STATE` while one is pending */
  submit(): number {
    if (this.#pending !== undefined) {
      throw new WalError('WAL_STATE', 'a sync is pending: call checkCompletions() until it is done', {
        state: 'sync-pending',
      });
    }
    const boundary = this.#boundary();
    this.#core.log.submitSync();
    this.#pending = boundary;
    return ++this.#tokens;
  }

  /** Processes completions without waiting. @returns whether a sync was pending and is done now */
  check(): boolean {
    const pending = this.#pending;
    try {
      const done = this.#core.log.checkCompletions(pending?.lsn ?? 0);
      if (pending === undefined || !done) return false;
    } catch (error) {
      this.#pending = undefined;
      throw error;
    }
    this.#pending = undefined;
    this.#synced(pending);
    return true;
  }

  /** Treats everything appended so far as synced. */
  markSynced(): void {
    this.#synced(this.#boundary());
  }

  #boundary(): SyncBoundary {
    return { lsn: this.#core.log.lastLsn, position: this.#core.position };
  }

  #synced({ lsn, position }: SyncBoundary): void {
    this.#lsn = Math.max(this.#lsn, lsn);
    this.#position = Math.max(this.#position, position);
  }
}
