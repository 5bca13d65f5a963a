import type { WalError } from '@walstack/codec';
import type { IoRoutine } from '@walstack/storage-io';
import type { LogDirectory } from '../options.js';
import {
  type LostEntries,
  type PerCoreSalvage,
  readSalvageNote,
  removeSalvageNote,
  writeSalvageNote,
} from './salvage-note.js';

/** What a salvage of a per-core log has found and lost so far, in memory and in the note on the disk. */
export class LossRecord {
  readonly #place: LogDirectory;
  readonly #damage: WalError[] = [];
  readonly #lost: LostEntries[] = [];
  readonly #quarantine = new Set<string>();
  /** Cores whose logs are being salvaged, and the places of the reports that they had before. */
  readonly #salvaging = new Map<number, readonly string[]>();
  #isNoted = false;

  /** @param place - the directory of the per-core log */
  constructor(place: LogDirectory) {
    this.#place = place;
  }

  /** Whether the note exists. */
  get isNoted(): boolean {
    return this.#isNoted;
  }

  /** The report for the application; `undefined` when nothing was lost. */
  get report(): PerCoreSalvage | undefined {
    if (this.#damage.length === 0) return undefined;
    return Object.freeze({
      damage: Object.freeze([...this.#damage]),
      lost: Object.freeze([...this.#lost]),
      quarantine: Object.freeze([...this.#quarantine]),
    });
  }

  /** Continues with the note of an unfinished salvage. @returns whether there is one */
  *load(): IoRoutine<boolean> {
    const { io, directory } = this.#place;
    const note = yield* readSalvageNote(io, directory);
    if (note === undefined) return false;
    this.#isNoted = true;
    this.#damage.push(...note.damage);
    this.#lost.push(...note.lost);
    for (const each of note.quarantine) this.#quarantine.add(each);
    for (const { coreId, known } of note.salvaging) this.#salvaging.set(coreId, known);
    return true;
  }

  addDamage(damage: WalError): void {
    // A step repeated after a crash finds the same damage.
    if (!this.#damage.some(({ message }) => message === damage.message)) this.#damage.push(damage);
  }

  /** Adds a range of lost entries, unless it is empty or in the record already. */
  addLost({ coreId, fromLsn, toLsn }: LostEntries): void {
    const isKnown = this.#lost.some(
      (each) => each.coreId === coreId && each.fromLsn === fromLsn && each.toLsn === toLsn,
    );
    if (fromLsn <= toLsn && !isKnown) this.#lost.push(Object.freeze({ coreId, fromLsn, toLsn }));
  }

  /** @param directory - contains discarded files */
  addQuarantine(directory: string): void {
    this.#quarantine.add(directory);
  }

  /** The salvage of the log of a core begins. @param known - the places of the reports that the log has already */
  beginLog(coreId: number, known: readonly string[]): void {
    this.#salvaging.set(coreId, known);
  }

  /** The places of the reports that a log had before its salvage; `undefined` when it is not being salvaged. */
  reportsBefore(coreId: number): readonly string[] | undefined {
    return this.#salvaging.get(coreId);
  }

  /** The losses of the log of a core are in this record. */
  endLog(coreId: number): void {
    this.#salvaging.delete(coreId);
  }

  /** Writes the note; durable on return. */
  *write(): IoRoutine<void> {
    const salvaging = [...this.#salvaging].map(([coreId, known]) => ({ coreId, known }));
    // It is written only after damage was added, so that there is a report.
    const note = { ...(this.report as PerCoreSalvage), salvaging };
    yield* writeSalvageNote(this.#place, note);
    this.#isNoted = true;
  }

  /** Removes the note: the salvage has ended, or was not begun. */
  *remove(): IoRoutine<void> {
    const { io, directory } = this.#place;
    yield* removeSalvageNote(io, directory);
    this.#isNoted = false;
  }
}
