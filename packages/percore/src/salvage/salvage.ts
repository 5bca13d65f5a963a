import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { coreDirectory } from '../core/core-directory.js';
import type { CoreState } from '../core/core-state.js';
import { closeQuietly, type DualModeRoutine, wait, waitForIo } from '../core/dual-mode-routine.js';
import { clockOf, logConfigOf, type RecoverySettings } from '../options.js';
import {
  type CheckpointPlace,
  type Manifest,
  manifestPath,
  missingCore,
  NO_MANIFEST,
  readManifest,
  writeManifest,
} from '../recovery/manifest.js';
import { missingManifest, provesManifest } from '../recovery/missing-manifest.js';
import { endPositionOf, entryBefore, notThere } from './checkpoint-place.js';
import { LossRecord } from './loss-record.js';
import { quarantineEntries, quarantineFile } from './quarantine.js';
import { type LostEntries, type PerCoreSalvage, salvageNotePath, unfinishedSalvage } from './salvage-note.js';
import { readReports, reportPlaces } from './salvage-reports.js';

/**
 * Handles the damage of a per-core log: throws it, or repairs it with `recoveryMode: 'salvage'`. Each step can be repeated
 * after a crash during it. Losses are recorded in a note before anything is changed. Until all steps are done, the per-core
 * log opens only with `'salvage'`, which also reports the losses recorded before.
 */
export class Salvage {
  readonly #settings: RecoverySettings;
  readonly #record: LossRecord;
  /** The manifest as it is on the disk. */
  #onDisk: Manifest = NO_MANIFEST;
  #hasManifest = false;

  constructor(settings: RecoverySettings) {
    this.#settings = settings;
    this.#record = new LossRecord(settings);
  }

  /** What was lost; `undefined` when nothing was lost. */
  get report(): PerCoreSalvage | undefined {
    return this.#record.report;
  }

  /**
   * Continues an unfinished salvage, if there is one.
   *
   * @throws `WAL_CORRUPT` when there is one and `'salvage'` is not asked for
   */
  *begin(): DualModeRoutine<void> {
    const { directory, recoveryMode } = this.#settings;
    const isUnfinished = yield* waitForIo(this.#io, () => this.#record.load());
    if (isUnfinished && recoveryMode !== 'salvage') throw unfinishedSalvage(directory);
  }

  /** Ends the salvage: from now on the per-core log opens in strict mode. A copy of the note stays in quarantine. */
  *end(): DualModeRoutine<void> {
    if (!this.#record.isNoted) return;
    const note = salvageNotePath(this.#settings.directory);
    yield* waitForIo(this.#io, () => quarantineFile(this.#settings, note, this.#stamp()));
    yield* waitForIo(this.#io, () => this.#record.remove());
  }

  /** Opens a damaged log with `'salvage'`, and records the losses that the log reports. @throws the damage in strict mode */
  *openDamaged(
    damage: unknown,
    coreId: number,
    checkPlace: CheckpointPlace | undefined,
    open: () => DualModeRoutine<SegmentedWal>,
  ): DualModeRoutine<SegmentedWal> {
    if (!WalError.is(damage, 'WAL_CORRUPT')) throw damage;
    const isFirst = !this.#record.isNoted;
    const own = coreDirectory(this.#settings.directory, coreId);
    // A salvage of the log that a crash interrupted is not further damage.
    const isBegun = this.#record.reportsBefore(coreId) !== undefined;
    const isKnown = isBegun && damage.reason === 'salvage-unfinished';
    if (!isBegun) this.#record.beginLog(coreId, reportPlaces(this.#io, own));
    if (!isKnown) yield* this.#giveUp(damage);
    let log: SegmentedWal;
    try {
      log = yield* open();
    } catch (error) {
      // Nothing was discarded yet: the log itself records the progress of its own salvage.
      if (isFirst) yield* waitForIo(this.#io, () => this.#record.remove());
      throw error;
    }
    yield* this.noteReports(log, checkPlace);
    return log;
  }

  /**
   * Records the losses from the reports of a log that was salvaged, now or before a crash that interrupted this recording.
   * Entries that a snapshot covers are not lost.
   */
  *noteReports(log: SegmentedWal, place: CheckpointPlace | undefined): DualModeRoutine<void> {
    const coreId = log.coreId as number;
    const known = this.#record.reportsBefore(coreId);
    if (known === undefined) return;
    try {
      for (const { path, lost } of yield* waitForIo(this.#io, () => readReports(this.#io, log.directory, known))) {
        for (const { fromLsn, toLsn } of lost) {
          this.#record.addLost({ coreId, fromLsn: Math.max(fromLsn, (place?.lsn ?? 0) + 1), toLsn });
        }
        this.#record.addQuarantine(path);
      }
      this.#record.endLog(coreId);
      yield* waitForIo(this.#io, () => this.#record.write());
    } catch (error) {
      yield* closeQuietly(log);
      throw error;
    }
  }

  /** Copies the entries of a log from an LSN on to quarantine, before they are dropped. */
  *quarantine(log: SegmentedWal, fromLsn: number): DualModeRoutine<void> {
    const coreId = log.coreId as number;
    this.#record.addQuarantine(
      yield* waitForIo(this.#io, () => quarantineEntries(this.#settings, coreId, log, fromLsn)),
    );
    yield* waitForIo(this.#io, () => this.#record.write());
  }

  /** Reads the manifest; a damaged one is moved to quarantine and replaced by an empty one. */
  *manifest(): DualModeRoutine<Manifest> {
    const { directory } = this.#settings;
    try {
      const found = yield* waitForIo(this.#io, () => readManifest(this.#io, directory));
      this.#hasManifest = found !== undefined;
      this.#onDisk = found ?? NO_MANIFEST;
      return this.#onDisk;
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
      yield* this.#giveUp(error);
      const kept = yield* waitForIo(this.#io, () =>
        quarantineFile(this.#settings, manifestPath(directory), this.#stamp()),
      );
      this.#record.addQuarantine(kept);
      yield* waitForIo(this.#io, () => this.#record.write());
      this.#hasManifest = true;
      return this.#newManifest();
    }
  }

  /** Creates a log in place of a missing one: it continues after the last checkpoint. */
  *replaceMissingCore(coreId: number, place: CheckpointPlace | undefined): DualModeRoutine<SegmentedWal> {
    const { io, directory, config } = this.#settings;
    yield* this.#giveUp(missingCore(directory, coreId));
    const all = {
      ...logConfigOf(config),
      io,
      coreId,
      directory: coreDirectory(directory, coreId),
      firstLsn: (place?.lsn ?? 0) + 1,
    };
    return yield* wait(
      () => SegmentedWal.openSync(all),
      () => SegmentedWal.open(all),
    );
  }

  /**
   * Checks a place of the manifest against the log: the entry ends at that position, and the entries after it are there.
   *
   * @returns where reading begins: after the place, or after the entries that are lost behind it
   */
  *place(log: SegmentedWal, place: CheckpointPlace): DualModeRoutine<CheckpointPlace> {
    const { lsn, position } = place;
    if (log.lastLsn < lsn) {
      yield* this.#giveUp(notThere(log, lsn, `it ends with LSN ${log.lastLsn}`));
      // The snapshot covers both the remaining entries of the log and those lost before the place.
      yield* wait(
        () => log.resetToSync(lsn + 1),
        () => log.resetTo(lsn + 1),
      );
      return place;
    }
    // Truncated right after the checkpoint, the log no longer has the entry to check.
    if (log.firstLsn === lsn + 1) return place;
    if (log.firstLsn > lsn + 1) {
      const lost = { coreId: place.coreId, fromLsn: lsn + 1, toLsn: log.firstLsn - 1 };
      yield* this.#giveUp(notThere(log, lsn + 1, `it begins with LSN ${log.firstLsn}`), lost);
      return { ...place, lsn: log.firstLsn - 1, position: log.listSegments()[0]?.firstPosition ?? position };
    }
    const { before, what } = yield* entryBefore(log, position);
    if (before === lsn) return place;
    yield* this.#giveUp(notThere(log, lsn, what));
    return { ...place, position: yield* endPositionOf(log, lsn) };
  }

  /** Reads the entries of a log. A salvage drops everything from the first record that is not an entry, or not in order. */
  *readEntries(log: SegmentedWal, read: () => DualModeRoutine<CoreState>): DualModeRoutine<CoreState> {
    try {
      return yield* read();
    } catch (error) {
      const { lsn } = error as WalError;
      if (!WalError.is(error, 'WAL_CORRUPT') || lsn === undefined || !NOT_AN_ENTRY.includes(error.reason)) throw error;
      yield* this.#giveUp(error, { coreId: log.coreId as number, fromLsn: lsn, toLsn: log.lastLsn });
      yield* this.quarantine(log, lsn);
      yield* wait(
        () => log.truncateAfterSync(lsn - 1),
        () => log.truncateAfter(lsn - 1),
      );
      return yield* read();
    }
  }

  /** Whether the logs prove a manifest that is missing. */
  isMissingManifest(
    cores: readonly { readonly log: SegmentedWal; readonly whole: Pick<CoreState, 'managed' | 'used'> }[],
  ): boolean {
    if (this.#hasManifest) return false;
    return cores.some(({ log, whole }) => provesManifest(log, whole));
  }

  /** Continues without the missing manifest. @throws its absence in strict mode */
  *replaceMissingManifest(): DualModeRoutine<Manifest> {
    const { directory } = this.#settings;
    yield* this.#giveUp(missingManifest(directory));
    return this.#newManifest();
  }

  /** Makes the repairs to the manifest durable. @param coreIds - of the logs that hold entries @returns the written manifest */
  *finish(found: Manifest, coreIds: readonly number[]): DualModeRoutine<Manifest> {
    if (found === this.#onDisk) return found;
    const isNew = found.cores.length === 0 && found.lastId !== undefined;
    const manifest = isNew ? { ...found, cores: coreIds } : found;
    yield* waitForIo(this.#io, () => writeManifest(this.#settings, manifest));
    return manifest;
  }

  get #io(): StorageIo {
    return this.#settings.io;
  }

  /** The time in milliseconds; 0 when the clock returns no valid time. */
  #stamp(): number {
    return Math.max(0, Math.floor(clockOf(this.#settings.config)()) || 0);
  }

  /** An empty manifest. Its checkpoint ids begin with the time, far above all earlier ids, so that none is used twice. */
  #newManifest(): Manifest {
    return { ...NO_MANIFEST, lastId: this.#stamp() };
  }

  /** Accepts a loss and records it durably. @throws the damage in strict mode */
  *#giveUp(damage: WalError, lost?: LostEntries): DualModeRoutine<void> {
    if (this.#settings.recoveryMode !== 'salvage') throw damage;
    // A salvage is done to its end: what has begun would keep the per-core log from being opened in strict mode.
    this.#settings.watch.end();
    this.#record.addDamage(damage);
    if (lost !== undefined) this.#record.addLost(lost);
    yield* waitForIo(this.#io, () => this.#record.write());
  }
}

const NOT_AN_ENTRY: readonly (string | undefined)[] = ['entry', 'order'];
