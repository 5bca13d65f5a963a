import { holdTurns } from '../../routines/turns.js';
import type { StorageIo } from '../../storage-io.js';
import type { DiskChange } from '../disk/disk-change.js';
import { DiskCore } from '../disk/disk-core.js';
import type { DiskState } from '../disk/disk-state.js';
import { Random, seedFrom } from '../random.js';
import { SimulatedDisk } from '../simulated-disk.js';

/**
 * One run of a program on simulated disks: from its start to its end, or to the crash that cuts it short. Scenarios and
 * checks receive one.
 *
 * With notes a scenario records for the check what it is about to do, and what was acknowledged. After a crash the
 * check sees the notes made before it, and no later ones. They are not copied: noted objects must not be changed.
 */
export interface ProcessRun<Note> {
  /** The backend of the running process. {@link restart} makes another one. */
  readonly io: StorageIo;
  readonly disks: readonly SimulatedDisk[];
  readonly seed: number;
  /** A random number from 0 to 1; the same sequence whenever this run is repeated. */
  readonly random: () => number;
  /** All notes so far, those of earlier runs first. */
  readonly notes: readonly Note[];
  /** Adds a note. */
  note(note: Note): void;
  /** Kills the process and starts another: the cache is unchanged, locks are free. Returns the new backend. */
  restart(): StorageIo;
}

/** A program that is run: a scenario, or the check after a crash. What it throws is a failure. */
export type Program<Note> = (run: ProcessRun<Note>) => void | Promise<void>;

/** Makes the backend of a process. */
export type CreateIo = (disks: readonly SimulatedDisk[]) => StorageIo;

/** A change of one of the disks. */
export interface RecordedChange {
  readonly disk: number;
  readonly change: DiskChange;
  /** How many notes had been made before it. */
  readonly notes: number;
}

/** The changes of the disks in a run. */
export interface Recording<Note> {
  readonly changes: readonly RecordedChange[];
  /** All notes, those of earlier runs first. */
  readonly notes: readonly Note[];
}

/** After so many turns of the event loop without any progress on the disks, a program counts as hanging. */
const IDLE_TURNS_MAX = 1_000_000;

/** After so many of them, a program whose process was killed counts as waiting for completions that never arrive. */
const DEAD_TURNS = 1000;

/** A run on disks in given states. */
export class SimulatedRun<Note> implements ProcessRun<Note> {
  /** What the {@link disks} wrap, in the same order. */
  readonly cores: readonly DiskCore[];
  readonly disks: readonly SimulatedDisk[];
  readonly seed: number;
  readonly random: () => number;
  readonly #notes: Note[];
  readonly #createIo: CreateIo;
  readonly #changes: RecordedChange[] = [];
  #io: StorageIo | undefined;
  #ended = false;
  /** A run repeats: it gives the event loop no turns that depend on the time. */
  readonly #releaseTurns = holdTurns();

  /**
   * @param place - the place in the exploration: different runs of one seed get different random numbers
   * @param notes - the notes of earlier runs
   */
  constructor(
    states: readonly DiskState[],
    capacityBytes: number,
    seed: number,
    place: string,
    notes: readonly Note[],
    createIo: CreateIo,
  ) {
    this.cores = states.map((state, index) => new DiskCore(seedFrom(seed, place, index), capacityBytes, state));
    this.disks = this.cores.map((core) => new SimulatedDisk(core));
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

  /** Notes after the end are ignored: the process is dead. */
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

  /** Records the changes of the disks from now on. */
  record(): Recording<Note> {
    for (const [index, core] of this.cores.entries()) {
      core.recorder = (change) => {
        this.#changes.push({ disk: index, change, notes: this.#notes.length });
      };
    }
    return { changes: this.#changes, notes: this.#notes };
  }

  /**
   * Executes a program. Returns a promise only when the program does.
   *
   * @param isKilled - whether its process was killed: then it may wait forever
   */
  execute(program: Program<Note>, isKilled?: () => boolean): void | Promise<void> {
    const result = program(this);
    return result instanceof Promise ? this.#untilSettled(result, isKilled) : result;
  }

  /** Ends the run: nothing happens on the disks any more. */
  end(): void {
    this.#ended = true;
    this.#releaseTurns();
    for (const core of this.cores) {
      core.recorder = undefined;
      core.watcher = undefined;
      core.powerOff();
    }
  }

  /** Distinguishes, without a clock, a program that waits forever from one that is slow. */
  #untilSettled(result: Promise<void>, isKilled?: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      let settled = false;
      let progress = 0;
      let idleTurns = 0;
      let next: NodeJS.Immediate | undefined;
      const settle = (report: () => void): void => {
        settled = true;
        // Many programs can run in one turn of the event loop: pending immediates would keep the disks of all of them.
        clearImmediate(next);
        report();
      };
      result.then(
        () => settle(resolve),
        (error: unknown) => settle(() => reject(error)),
      );
      const turn = (): void => {
        if (settled) return;
        const now = this.cores.reduce((sum, core) => sum + core.device.progress + core.operations, 0);
        idleTurns = now === progress ? idleTurns + 1 : 0;
        progress = now;
        if (idleTurns > DEAD_TURNS && isKilled?.() === true) settle(resolve);
        else if (idleTurns > IDLE_TURNS_MAX)
          settle(() => reject(new Error('it hangs: it waits, and there is no progress on the disks')));
        else next = setImmediate(turn);
      };
      next = setImmediate(turn);
    });
  }
}
