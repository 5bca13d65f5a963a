import { WalError } from '@walstack/codec';
import { SegmentedWal } from '@walstack/segmented';
import type { StorageIo } from '@walstack/storage-io';
import { coreDirectory } from '../core/core-directory.js';
import type { CoreState } from '../core/core-state.js';
import { closeQuietly, type Steps, wait, waitFor } from '../core/dual-mode-routine.js';
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
import { keepEntries, keepFile } from './quarantine.js';
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
 * What is wrong with a per-core log: thrown, or put right where that was asked for. Each step can be repeated after a crash
 * in it. What is given up is noted in a file before anything is changed, so that until all steps are done only salvage opens
 * the per-core log, and reports what was given up before, too.
 */
export class Salvage {
  readonly #settings: RecoverySettings;
  readonly #damage: WalError[] = [];
  readonly #lost: LostEntries[] = [];
  readonly #quarantine = new Set<string>();
  /** Cores whose logs are being salvaged, and the places of reports that they had before. */
  readonly #salvaging = new Map<number, readonly string[]>();
  /** The manifest as it is on the disk. */
  #onDisk: Manifest = NO_MANIFEST;
  #hasManifest = false;
  /** The note is there. */
  #isNoted = false;

  constructor(settings: RecoverySettings) {
    this.#settings = settings;
  }

  /** What was given up; `undefined` where nothing was. */
  get report(): PerCoreSalvage | undefined {
    if (this.#damage.length === 0) return undefined;
    return Object.freeze({
      damage: Object.freeze([...this.#damage]),
      lost: Object.freeze([...this.#lost]),
      quarantine: Object.freeze([...this.#quarantine]),
    });
  }

  /**
   * Goes on with a salvage that has not ended.
   *
   * @throws `WAL_CORRUPT` where that was not asked for
   */
  *begin(): Steps<void> {
    const { directory, recoveryMode } = this.#settings;
    const note = yield* waitFor(this.#io, () => readSalvageNote(this.#io, directory));
    if (note === undefined) return;
    if (recoveryMode !== 'salvage') throw unfinishedSalvage(directory);
    this.#isNoted = true;
    this.#damage.push(...note.damage);
    this.#lost.push(...note.lost);
    for (const each of note.quarantine) this.#quarantine.add(each);
    for (const { coreId, known } of note.salvaging) this.#salvaging.set(coreId, known);
  }

  /** Nothing is left to be done: from now on the per-core log opens strictly. What was given up stays written down in quarantine. */
  *end(): Steps<void> {
    if (!this.#isNoted) return;
    const { directory } = this.#settings;
    yield* waitFor(this.#io, () => keepFile(this.#io, directory, salvageNotePath(directory), this.#stamp()));
    yield* this.#removeNote();
  }

  /** Opens a log that is damaged, where that was asked for, and takes note of what it says that it has lost. */
  *log(
    damage: unknown,
    coreId: number,
    place: CheckpointPlace | undefined,
    open: () => Steps<SegmentedWal>,
  ): Steps<SegmentedWal> {
    if (!WalError.is(damage, 'WAL_CORRUPT')) throw damage;
    const isFirst = !this.#isNoted;
    const own = coreDirectory(this.#settings.directory, coreId);
    // That a crash has cut the salvage of the log off is no further damage.
    const isKnown = this.#salvaging.has(coreId) && damage.reason === 'salvage-unfinished';
    if (!this.#salvaging.has(coreId)) this.#salvaging.set(coreId, reportPlaces(this.#io, own));
    if (!isKnown) yield* this.#give(damage);
    let log: SegmentedWal;
    try {
      log = yield* open();
    } catch (error) {
      // Nothing was given up: the log itself says how far its salvage has come.
      if (isFirst) yield* this.#removeNote();
      throw error;
    }
    yield* this.resumed(log, place);
    return log;
  }

  /**
   * Takes note of what a log says that it has lost, if it was salvaged, now or before a crash that came before the note. What
   * a snapshot stands for is not lost.
   */
  *resumed(log: SegmentedWal, place: CheckpointPlace | undefined): Steps<void> {
    const coreId = log.coreId as number;
    const known = this.#salvaging.get(coreId);
    if (known === undefined) return;
    try {
      for (const { path, lost } of yield* waitFor(this.#io, () => readReports(this.#io, log.directory, known))) {
        for (const { fromLsn, toLsn } of lost) this.#lose(coreId, Math.max(fromLsn, (place?.lsn ?? 0) + 1), toLsn);
        this.#quarantine.add(path);
      }
      this.#salvaging.delete(coreId);
      yield* this.#note();
    } catch (error) {
      yield* closeQuietly(log);
      throw error;
    }
  }

  /** Keeps entries of a log aside, from an LSN on, which others drop. */
  *keep(log: SegmentedWal, fromLsn: number): Steps<void> {
    const { directory } = this.#settings;
    const coreId = log.coreId as number;
    this.#quarantine.add(yield* waitFor(this.#io, () => keepEntries(this.#io, directory, coreId, log, fromLsn)));
    yield* this.#note();
  }

  /** The manifest; none where it is damaged. */
  *manifest(): Steps<Manifest> {
    const { directory } = this.#settings;
    try {
      const found = yield* waitFor(this.#io, () => readManifest(this.#io, directory));
      this.#hasManifest = found !== undefined;
      this.#onDisk = found ?? NO_MANIFEST;
      return this.#onDisk;
    } catch (error) {
      if (!WalError.is(error, 'WAL_CORRUPT')) throw error;
      yield* this.#give(error);
      const kept = yield* waitFor(this.#io, () =>
        keepFile(this.#io, directory, manifestPath(directory), this.#stamp()),
      );
      this.#quarantine.add(kept);
      yield* this.#note();
      this.#hasManifest = true;
      return this.#newManifest();
    }
  }

  /** A log in place of one that is gone: it goes on behind the last checkpoint. */
  *missingCore(coreId: number, place: CheckpointPlace | undefined): Steps<SegmentedWal> {
    const { io, directory, config } = this.#settings;
    yield* this.#give(missingCore(directory, coreId));
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
   * Holds what the manifest says against the log: its last entry ends where it says, and nothing behind it is missing.
   *
   * @returns where reading begins: behind the place, or behind what is lost after it
   */
  *place(log: SegmentedWal, place: CheckpointPlace): Steps<CheckpointPlace> {
    const { lsn, position } = place;
    if (log.lastLsn < lsn) {
      yield* this.#give(notThere(log, lsn, `it ends with ${log.lastLsn}`));
      // A snapshot stands for everything that is left of it, and for what is lost before the place.
      yield* wait(
        () => log.resetToSync(lsn + 1),
        () => log.resetTo(lsn + 1),
      );
      return place;
    }
    // Truncated right behind the checkpoint, it has nothing any more that could be looked at.
    if (log.firstLsn === lsn + 1) return place;
    if (log.firstLsn > lsn + 1) {
      const lost = { coreId: place.coreId, fromLsn: lsn + 1, toLsn: log.firstLsn - 1 };
      yield* this.#give(notThere(log, lsn + 1, `it begins with ${log.firstLsn}`), lost);
      return { ...place, lsn: log.firstLsn - 1, position: log.listSegments()[0]?.firstPosition ?? position };
    }
    const { before, what } = yield* entryBefore(log, position);
    if (before === lsn) return place;
    yield* this.#give(notThere(log, lsn, what));
    return { ...place, position: yield* endOf(log, lsn) };
  }

  /** What a log holds: up to the first record that is no entry, or not in order, when that is to be given up. */
  *entries(log: SegmentedWal, read: () => Steps<CoreState>): Steps<CoreState> {
    try {
      return yield* read();
    } catch (error) {
      const { lsn } = error as WalError;
      if (!WalError.is(error, 'WAL_CORRUPT') || lsn === undefined || !NO_ENTRY.includes(error.reason)) throw error;
      yield* this.#give(error, { coreId: log.coreId as number, fromLsn: lsn, toLsn: log.lastLsn });
      yield* this.keep(log, lsn);
      yield* wait(
        () => log.truncateAfterSync(lsn - 1),
        () => log.truncateAfter(lsn - 1),
      );
      return yield* read();
    }
  }

  /** Whether a manifest was there that is not any more. */
  isMissingManifest(
    cores: readonly { readonly log: SegmentedWal; readonly whole: Pick<CoreState, 'managed' | 'joined'> }[],
  ): boolean {
    if (this.#hasManifest) return false;
    return cores.some(({ log, whole }) => provesManifest(log, whole));
  }

  *missingManifest(): Steps<Manifest> {
    const { directory } = this.#settings;
    yield* this.#give(missingManifest(directory));
    return this.#newManifest();
  }

  /** Makes durable what was put right. @param coreIds - of the logs that hold entries @returns the manifest as it is then */
  *finish(found: Manifest, coreIds: readonly number[]): Steps<Manifest> {
    if (found === this.#onDisk) return found;
    const { io, directory } = this.#settings;
    const isNew = found.cores.length === 0 && found.lastId !== undefined;
    const manifest = isNew ? { ...found, cores: coreIds } : found;
    yield* waitFor(io, () => writeManifest(io, directory, manifest));
    return manifest;
  }

  get #io(): StorageIo {
    return this.#settings.io;
  }

  /** The time, whatever the clock says. */
  #stamp(): number {
    return Math.max(0, Math.floor(clockOf(this.#settings.config)()) || 0);
  }

  /** Numbers of checkpoints begin far above those that there were: none is used twice. */
  #newManifest(): Manifest {
    return { ...NO_MANIFEST, lastId: this.#stamp() };
  }

  /** Goes on without something, if that was asked for; noted durably on return. @throws what is wrong, if not */
  *#give(damage: WalError, lost?: LostEntries): Steps<void> {
    if (this.#settings.recoveryMode !== 'salvage') throw damage;
    // A step that is done again after a crash finds the same.
    if (!this.#damage.some(({ message }) => message === damage.message)) this.#damage.push(damage);
    if (lost !== undefined) this.#lose(lost.coreId, lost.fromLsn, lost.toLsn);
    yield* this.#note();
  }

  *#note(): Steps<void> {
    const { directory } = this.#settings;
    const salvaging = [...this.#salvaging].map(([coreId, known]) => ({ coreId, known }));
    const note = { ...(this.report as PerCoreSalvage), salvaging };
    yield* waitFor(this.#io, () => writeSalvageNote(this.#io, directory, note));
    this.#isNoted = true;
  }

  *#removeNote(): Steps<void> {
    const { directory } = this.#settings;
    yield* waitFor(this.#io, () => removeSalvageNote(this.#io, directory));
    this.#isNoted = false;
  }

  #lose(coreId: number, fromLsn: number, toLsn: number): void {
    const isKnown = this.#lost.some(
      (each) => each.coreId === coreId && each.fromLsn === fromLsn && each.toLsn === toLsn,
    );
    if (fromLsn <= toLsn && !isKnown) this.#lost.push(Object.freeze({ coreId, fromLsn, toLsn }));
  }
}

const NO_ENTRY: readonly (string | undefined)[] = ['entry', 'order'];

interface EntryBefore {
  /** `undefined` where the log has no such position. */
  readonly before: number | undefined;
  readonly what: string;
}

function* entryBefore(log: SegmentedWal, position: number): Steps<EntryBefore> {
  try {
    const before = yield* wait(
      () => log.lsnBeforeSync(position),
      () => log.lsnBefore(position),
    );
    return { before, what: `position ${position} is behind LSN ${before}` };
  } catch (error) {
    if (!WalError.is(error, 'WAL_RANGE') && !WalError.is(error, 'WAL_TRUNCATED')) throw error;
    return { before: undefined, what: error.message };
  }
}

/** The position behind an entry that is in the log. */
function* endOf(log: SegmentedWal, lsn: number): Steps<number> {
  let low = log.listSegments()[0]?.firstPosition ?? 0;
  let high = log.position;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (yield* isBehind(log, lsn, middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function* isBehind(log: SegmentedWal, lsn: number, position: number): Steps<boolean> {
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
    `the checkpoint has LSN ${lsn} of core ${log.coreId}, but its log does not: ${what}; nothing was changed`,
    { path: log.directory, lsn, reason: 'checkpoint' },
  );
}
