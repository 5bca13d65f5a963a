import type { StorageIo } from '../storage-io.js';
import type { DiskChange } from './disk-change.js';
import type { DiskState } from './disk-state.js';
import { Random, seedFrom } from './random.js';
import { coreOf, diskIn, type SimulatedDisk } from './simulated-disk.js';

/**
 * One life of a program on simulated disks: from its start to its end, or to the crash that cuts it short. Scenarios and
 * checks are given one.
 *
 * Notes are how a scenario tells a check what it may rely on: what it is about to do, and what was acknowledged. A crash
 * takes the notes that had been made by then along, and no later ones. They are not copied: what was noted must not be
 * changed.
 */
export interface Life<Note> {
  /** The backend of the process that is alive. {@link restart} makes another one. */
  readonly io: StorageIo;
  readonly disks: readonly SimulatedDisk[];
  readonly seed: number;
  /** A number from 0 to 1; the same ones whenever this life is lived again. */
  readonly random: () => number;
  /** All notes so far, those of earlier lives first. */
  readonly notes: readonly Note[];
  /** Makes a note. */
  note(note: Note): void;
  /** Kills the process and starts another: the cache is as it was, locks are free. Returns the new backend. */
  restart(): StorageIo;
}

/** What is done in a life: a scenario, or the check that follows a crash. What it throws is a failure. */
export type Program<Note> = (life: Life<Note>) => void | Promise<void>;

/** Makes the backend of a process. */
export type CreateIo = (disks: readonly SimulatedDisk[]) => StorageIo;

/** A change of one of the disks. */
export interface RecordedChange {
  readonly disk: number;
  readonly change: DiskChange;
  /** How many notes had been made before it. */
  readonly notes: number;
}

/** What became of the disks in a life. */
export interface Recording<Note> {
  readonly changes: readonly RecordedChange[];
  /** All notes, those of earlier lives first. */
  readonly notes: readonly Note[];
}

/** After so many turns of the event loop in which nothing happened on the disks, a program counts as hanging. */
const IDLE_TURNS_MAX = 1_000_000;

/** After so many of them a program whose process was killed waits for what it was never told. */
const DEAD_TURNS = 1000;

/** A life on disks in given states. */
export class SimulatedLife<Note> implements Life<Note> {
  readonly disks: readonly SimulatedDisk[];
  readonly seed: number;
  readonly random: () => number;
  readonly #notes: Note[];
  readonly #createIo: CreateIo;
  readonly #changes: RecordedChange[] = [];
  #io: StorageIo | undefined;
  #ended = false;

  /**
   * @param place - where in the exploration this is: different lives of one seed are not to have the same luck
   * @param notes - of earlier lives
   */
  constructor(
    states: readonly DiskState[],
    capacityBytes: number,
    seed: number,
    place: string,
    notes: readonly Note[],
    createIo: CreateIo,
  ) {
    this.disks = states.map((state, index) => diskIn(state, seedFrom(seed, place, index), capacityBytes));
    this.seed = seed;
    this.random = new Random(seedFrom(seed, place, 'life')).next;
    this.#notes = [...notes];
    this.#createIo = createIo;
  }

  get io(): StorageIo {
    this.#io ??= this.#createIo(this.disks);
    return this.#io;
  }

  get notes(): readonly Note[] {
    return this.#notes;
  }

  /** What goes on after the end is ignored: its process is dead. */
  note(note: Note): void {
    if (!this.#ended) this.#notes.push(note);
  }

  restart(): StorageIo {
    for (const disk of this.disks) disk.kill();
    this.#io = undefined;
    return this.io;
  }

  /** How many changes were recorded. */
  get recorded(): number {
    return this.#changes.length;
  }

  /** From now on, what becomes of the disks is recorded. */
  record(): Recording<Note> {
    for (const [index, disk] of this.disks.entries()) {
      coreOf(disk).recorder = (change) => {
        this.#changes.push({ disk: index, change, notes: this.#notes.length });
      };
    }
    return { changes: this.#changes, notes: this.#notes };
  }

  /**
   * Lets a program live. Returns a promise only when it does.
   *
   * @param isKilled - whether its process was killed: then it may wait for ever
   */
  live(program: Program<Note>, isKilled?: () => boolean): void | Promise<void> {
    const result = program(this);
    return result instanceof Promise ? this.#untilSettled(result, isKilled) : result;
  }

  /** Ends the life: nothing happens on the disks any more. */
  end(): void {
    this.#ended = true;
    for (const disk of this.disks) {
      const core = coreOf(disk);
      core.recorder = undefined;
      core.watcher = undefined;
      core.powerOff();
    }
  }

  /** A program that waits for what will never happen is told from one that is slow, without a clock. */
  #untilSettled(result: Promise<void>, isKilled?: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let settled = false;
      let progress = 0;
      let idleTurns = 0;
      let next: NodeJS.Immediate | undefined;
      const settle = (report: () => void): void => {
        settled = true;
        // Programs that wait for no turn of the event loop are many in one: it would keep the disks of all of them.
        clearImmediate(next);
        report();
      };
      result.then(
        () => settle(resolve),
        (error: unknown) => settle(() => reject(error)),
      );
      const turn = (): void => {
        if (settled) return;
        const now = this.disks.reduce((sum, disk) => sum + coreOf(disk).device.progress + disk.operations, 0);
        idleTurns = now === progress ? idleTurns + 1 : 0;
        progress = now;
        if (idleTurns > DEAD_TURNS && isKilled?.() === true) settle(resolve);
        else if (idleTurns > IDLE_TURNS_MAX)
          settle(() => reject(new Error('it waits, and nothing happens any more: it hangs')));
        else next = setImmediate(turn);
      };
      next = setImmediate(turn);
    });
  }
}
