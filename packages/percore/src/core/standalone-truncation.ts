import { WalError } from '@walstack/codec';
import type { TruncateResult } from '@walstack/segmented';
import { readManifest, writeManifest } from '../recovery/manifest.js';
import type { CoreLog } from './core-log.js';
import { type DualModeRoutine, wait, waitForIo } from './dual-mode-routine.js';
import { managedLog, type StandaloneLog } from './open-core-log.js';

/** What the per-core log needs of a log that was opened without its manager. */
export interface StandaloneNeeds extends Pick<StandaloneLog, 'neededFrom' | 'inCheckpoint'> {
  /** The directory of the per-core log. */
  readonly directory: string;
  /** The permissions of files in it. */
  readonly fileMode: number;
}

/** Removes segments of a log that was opened without its manager, and keeps what only their entries say. */
export class StandaloneTruncation {
  readonly #core: CoreLog;
  readonly #needs: StandaloneNeeds;
  /** The manifest was written again and synced: no crash can replace it with an earlier one. */
  #isManifestDurable = false;

  constructor(core: CoreLog, needs: StandaloneNeeds) {
    this.#core = core;
    this.#needs = needs;
  }

  /** Removes the segments whose entries are all below an LSN. @throws `WAL_STATE` when the manager needs one of them */
  *before(lsn: number): DualModeRoutine<TruncateResult> {
    const { log } = this.#core;
    const { before, appended } = this.#carryOver(lsn);
    if (appended || !this.#isRestatedFrom(before)) {
      yield* wait(
        () => log.syncSync(),
        () => log.sync(),
      );
    }
    if (this.#needs.inCheckpoint) yield* this.#makeManifestDurable();
    else if (this.#removes(before)) {
      // An empty log with a checkpoint was not emptied by a manager, so no manifest is missing.
      yield* wait(
        () => log.checkpointSync(before - 1),
        () => log.checkpoint(before - 1),
      );
    }
    return yield* wait(
      () => log.truncateBeforeSync(before),
      () => log.truncateBefore(before),
    );
  }

  /** The sync after the manifest's rename may have failed: a crash could then restore a manifest that needs the entries. */
  *#makeManifestDurable(): DualModeRoutine<void> {
    if (this.#isManifestDurable) return;
    const { io } = this.#core.log;
    const { directory, fileMode } = this.#needs;
    // No manager is open, as this writer has the log locked. Other writers may write the same manifest at the same time.
    const manifest = yield* waitForIo(io, () => readManifest(io, directory));
    const draft = `manifest-${this.#core.coreId}.new`;
    if (manifest !== undefined) yield* waitForIo(io, () => writeManifest({ io, directory, fileMode }, manifest, draft));
    this.#isManifestDurable = true;
  }

  /** Whether durable entries from an LSN on hold all commits, given that no sync may have covered the last entries yet. */
  #isRestatedFrom(lsn: number): boolean {
    const { log, ledger } = this.#core;
    const { durableLsn } = log;
    return !this.#removes(lsn) || (durableLsn >= lsn && durableLsn >= ledger.lastLsn);
  }

  /** Whether there is a segment whose entries are all below an LSN. */
  #removes(lsn: number): boolean {
    const { log } = this.#core;
    return log.firstLsn <= log.lastLsn && lsn <= log.nextLsn && (log.listSegments()[0]?.lastLsn ?? 0) < lsn;
  }

  /**
   * Appends again the commits that only the entries to be removed hold. Without space for that, these entries stay.
   *
   * @returns the LSN to truncate before, and whether a commit was appended
   */
  #carryOver(lsn: number): { readonly before: number; readonly appended: boolean } {
    const { coreId, log, ledger, epochs, barriers } = this.#core;
    const { neededFrom, inCheckpoint } = this.#needs;
    if (lsn > neededFrom) throw managedLog(coreId, `its manager needs the entries from LSN ${neededFrom} on`);
    // The checkpoint holds what was committed before it.
    if (inCheckpoint || !this.#removes(lsn)) return { before: lsn, appended: false };
    const oldest = Math.min(ledger.neededFrom, log.lastLsn);
    // Recovery may drop the current epoch as incomplete: what was committed before it must remain in the log.
    const ended = ledger.endedFrom(epochs.entered);
    const before = Math.min(lsn, ended);
    if (lsn <= oldest) return { before, appended: false };
    // Nothing may follow the last barrier of a core: later epochs would wait for the core again.
    if (barriers.retiredAtLsn === log.lastLsn) return { before: Math.min(oldest, ended), appended: false };
    try {
      this.#core.repeatCommits();
    } catch (error) {
      if (!WalError.is(error, 'WAL_NO_SPACE')) throw error;
      return { before: Math.min(oldest, ended), appended: false };
    }
    return { before, appended: true };
  }
}
