import type { DiskState } from '../disk/disk-state.js';
import { counting, type Survivors, staleSeedOf, survivorSets, survivorsNamed } from '../disk/survivors.js';
import { describeChange } from './describe-change.js';
import type { Recording } from './process-run.js';
import type { CrashStep } from './replay-coordinate.js';

/** Plays back a recording: the disks as they were at one point of it, with what was durable and what was not. */
export class CrashPoints<Note> {
  readonly #recording: Recording<Note>;
  readonly #disks: readonly DiskState[];
  #point = 0;
  /** {@link notes}, as long as the point stays the same. */
  #notes: readonly Note[] | undefined;

  /** @param disks - the disks at the start of the recording, to which its changes are applied */
  constructor(recording: Recording<Note>, disks: readonly DiskState[]) {
    this.#recording = recording;
    this.#disks = disks;
  }

  /** The last point: after everything that was recorded. */
  get last(): number {
    return this.#recording.changes.length;
  }

  /** Advances to a point: after so many changes, before the next one. */
  goTo(point: number): void {
    this.#notes = undefined;
    for (; this.#point < point; this.#point++) {
      const next = this.#recording.changes[this.#point];
      if (next === undefined) throw new RangeError(`the recording has ${this.last} points, there is no point ${point}`);
      (this.#disks[next.disk] as DiskState).apply(next.change);
    }
  }

  /** The notes made before the next change. */
  get notes(): readonly Note[] {
    this.#notes ??= this.#recording.notes.slice(0, this.#recording.changes[this.#point]?.notes);
    return this.#notes;
  }

  /** The disks as a crash at this point leaves them. */
  crashed(survivors: Survivors): DiskState[] {
    const ask = survivorsNamed(survivors);
    const stale = staleSeedOf(survivors);
    return this.#disks.map((disk) => disk.crashed(ask, stale));
  }

  /** Sets of survivors to try at this point. */
  sets(most: number, seed: number): Survivors[] {
    const count = { metadata: 0, sectors: 0 };
    const ask = counting(count);
    for (const disk of this.#disks) disk.crashed(ask);
    return survivorSets(count, most, seed);
  }

  /** Describes the last change, and what survives. */
  describe({ point, survivors }: CrashStep): string {
    const last = this.#recording.changes[point - 1];
    const disk = last === undefined ? undefined : this.#disks[last.disk];
    const which = last !== undefined && this.#disks.length > 1 ? ` on disk ${last.disk}` : '';
    const what =
      last === undefined || disk === undefined
        ? 'before anything happened'
        : `after ${describeChange(last.change, disk)}`;
    return `a crash at point ${point} of ${this.last}, ${what}${which}; survivors: ${survivors}`;
  }
}
