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
import { quarantineEntries, quarantineFile } from './quarantine.js';
import {
  type LostEntries,
  type PerCoreSalvage,
  readSalvageNote,
  removeSalvageNote,
  salvageNotePath,
  unfinishedSalvage,
  writeSalvageNote,
} from './salvage-note.js';
import { readReports, reportPlaces } from './salvage-reports.js';

/**
 * Handles the damage of a per-core log: throws it, or repairs it with `recoveryMode: 'salvage'`. Each step can be repeated
 * after a crash during it. Losses are recorded in a note before anything is changed. Until all steps are done, the per-core
 * log opens only with `'salvage'`, which also reports the losses recorded before.
 */
export class Salvage {
  readonly #settings: RecoverySettings;
  readonly #damage: WalError[] = [];
  readonly #lost: LostEntries[] = [];
  readonly #quarantine = new Set<string>();
  /** Cores whose logs are being salvaged, and the places of the reports that they had before. */
  readonly #salvaging = new Map<number, readonly string[]>();
  /** The manifest as it is on the disk. */
  #onDisk: Manifest = NO_MANIFEST;
  #hasManifest = false;
  /** Whether the note exists. */
  #isNoted = false;

  constructor(settings: RecoverySettings) {
    this.#settings = settings;
  }

  /** What was lost; `undefined` when nothing was lost. */
  get report(): PerCoreSalvage | undefined {
    if (this.#damage.length === 0) return undefined;
    return Object.freeze({
      damage: Object.freeze([...this.#damage]),
      lost: Object.freeze([...this.#lost]),
      quarantine: Object.freeze([...this.#quarantine]),
    });
  }

  /**
   * Continues an unfinished salvage, if there is one.
   *
   * @throws `WAL_CORRUPT` when there is one and `'salvage'` is not asked for
   */
  *begin(): DualModeRoutine<void> {
    const { directory, recoveryMode } = this.#settings;
    const note = yield* waitForIo(this.#io, () => readSalvageNote(this.#io, directory));
    if (note === undefined) return;
    if (recoveryMode !== 'salvage') throw unfinishedSalvage(directory);
    this.#isNoted = true;
    this.#damage.push(...note.damage);
    this.#lost.push(...note.lost);
    for (const each of note.quarantine) this.#quarantine.add(each);
    for (const { coreId, known } of note.salvaging) this.#salvaging.set(coreId, known);
  }

  /** Ends the salvage: from now on the per-core log opens in strict mode. A copy of the note stays in quarantine. */
  *end(): DualModeRoutine<void> {
    if (!this.#isNoted) return;
    const { directory } = this.#settings;
    yield* waitForIo(this.#io, () => quarantineFile(this.#io, directory, salvageNotePath(directory), this.#stamp()));
    yield* this.#removeNote();
  }

  /** Opens a damaged log with `'salvage'`, and records the losses that the log reports. @throws the damage in strict mode */
  *openDamaged(
    damage: unknown,
    coreId: number,
    checkPlace: CheckpointPlace | undefined,
    open: () => DualModeRoutine<SegmentedWal>,
  ): DualModeRoutine<SegmentedWal> {
    if (!WalError.is(damage, 'WAL_CORRUPT')) throw damage;
    const isFirst = !this.#isNoted;
    const own = coreDirectory(this.#settings.directory, coreId);
    // A salvage of the log that a crash interrupted is not further damage.
    const isKnown = this.#salvaging.has(coreId) && damage.reason === 'salvage-unfinished';
    if (!this.#salvaging.has(coreId)) this.#salvaging.set(coreId, reportPlaces(this.#io, own));
    if (!isKnown) yield* this.#giveUp(damage);
    let log: SegmentedWal;
    try {
      log = yield* open();
    } catch (error) {
      // Nothing was discarded yet: the log itself records the progress of its own salvage.
      if (isFirst) yield* this.#removeNote();
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
    const known = this.#salvaging.get(coreId);
    if (known === undefined) return;
    try {
      for (const { path, lost } of yield* waitForIo(this.#io, () => readReports(this.#io, log.directory, known))) {
        for (const { fromLsn, toLsn } of lost) this.#addLost(coreId, Math.max(fromLsn, (place?.lsn ?? 0) + 1), toLsn);
        this.#quarantine.add(path);
      }
      this.#salvaging.delete(coreId);
      yield* this.#writeNote();
    } catch (error) {
      yield* closeQuietly(log);
      throw error;
    }
  }

  /** Copies the entries of a log from an LSN on to quarantine, before they are dropped. */
  *quarantine(log: SegmentedWal, fromLsn: number): DualModeRoutine<void> {
    const { directory } = this.#settings;
    const coreId = log.coreId as number;
    this.#quarantine.add(
      yield* waitForIo(this.#io, () => quarantineEntries(this.#io, directory, coreId, log, fromLsn)),
    );
    yield* this.#writeNote();
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
        quarantineFile(this.#io, directory, manifestPath(directory), this.#stamp()),
      );
      this.#quarantine.add(kept);
      yield* this.#writeNote();
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
    const { io, directory } = this.#settings;
    const isNew = found.cores.length === 0 && found.lastId !== undefined;
    const manifest = isNew ? { ...found, cores: coreIds } : found;
    yield* waitForIo(io, () => writeManifest(io, directory, manifest));
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
    // A step repeated after a crash finds the same damage.
    if (!this.#damage.some(({ message }) => message === damage.message)) this.#damage.push(damage);
    if (lost !== undefined) this.#addLost(lost.coreId, lost.fromLsn, lost.toLsn);
    yield* this.#writeNote();
  }

  *#writeNote(): DualModeRoutine<void> {
    const { directory } = this.#settings;
    const salvaging = [...this.#salvaging].map(([coreId, known]) => ({ coreId, known }));
    const note = { ...(this.report as PerCoreSalvage), salvaging };
    yield* waitForIo(this.#io, () => writeSalvageNote(this.#io, directory, note));
    this.#isNoted = true;
  }

  *#removeNote(): DualModeRoutine<void> {
    const { directory } = this.#settings;
    yield* waitForIo(this.#io, () => removeSalvageNote(this.#io, directory));
    this.#isNoted = false;
  }

  #addLost(coreId: number, fromLsn: number, toLsn: number): void {
    const isKnown = this.#lost.some(
      (each) => each.coreId === coreId && each.fromLsn === fromLsn && each.toLsn === toLsn,
    );
    if (fromLsn <= toLsn && !isKnown) this.#lost.push(Object.freeze({ coreId, fromLsn, toLsn }));
  }
}

const NOT_AN_ENTRY: readonly (string | undefined)[] = ['entry', 'order'];

/** Which entry ends at a position. */
interface EntryBefore {
  /** Its LSN; `undefined` when no entry of the log ends there. */
  readonly before: number | undefined;
  /** The finding, for the message of an error. */
  readonly what: string;
}

function* entryBefore(log: SegmentedWal, position: number): DualModeRoutine<EntryBefore> {
  try {
    const before = yield* wait(
      () => log.lsnBeforeSync(position),
      () => log.lsnBefore(position),
    );
    return { before, what: `position ${position} is the end of LSN ${before}` };
  } catch (error) {
    if (!WalError.is(error, 'WAL_RANGE') && !WalError.is(error, 'WAL_TRUNCATED')) throw error;
    return { before: undefined, what: error.message };
  }
}

/** The position after an entry of the log, found by binary search. */
function* endPositionOf(log: SegmentedWal, lsn: number): DualModeRoutine<number> {
  let low = log.listSegments()[0]?.firstPosition ?? 0;
  let high = log.position;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (yield* endsAtOrBefore(log, lsn, middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function* endsAtOrBefore(log: SegmentedWal, lsn: number, position: number): DualModeRoutine<boolean> {
  try {
    const before = yield* wait(
      () => log.lsnBeforeSync(position),
      () => log.lsnBefore(position),
    );
    return before >= lsn;
  } catch (error) {
    if (!WalError.is(error, 'WAL_RANGE')) throw error;
    return (error.lsn ?? 0) > lsn;
  }
}

function notThere(log: SegmentedWal, lsn: number, what: string): WalError {
  return new WalError(
    'WAL_CORRUPT',
    `the checkpoint covers LSN ${lsn} of core ${log.coreId}, but its log does not have it there: ${what}; nothing was changed`,
    { path: log.directory, lsn, reason: 'checkpoint' },
  );
}
