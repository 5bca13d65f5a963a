import { checkInteger, optionNames } from '@walstack/codec/internal';
import { DiskState } from '../disk/disk-state.js';
import { seedFrom } from '../random.js';
import { CrashPoints } from './crash-points.js';
import { type ExplorationFailure, makeFailure } from './exploration-failure.js';
import {
  COMMON_OPTIONS,
  checkSimulationOptions,
  type SimulationOptions,
  type SimulationSettings,
} from './explore-options.js';
import { type Program, type Recording, SimulatedRun } from './process-run.js';
import { type Coordinate, type CrashStep, formatCoordinate, parseCoordinate } from './replay-coordinate.js';

/** Options of {@link exploreCrashes}. */
export interface ExploreOptions extends SimulationOptions {
  /** How many sets of survivors are tried at each point at most; 1 to 10,000. Default 12. */
  readonly survivorsPerPoint?: number;
  /** How many further crashes may come inside the check, one inside the other; 0 to 4. Default 2. */
  readonly crashesInCheck?: number;
  /** The check of every n-th state is crashed as well, at each of its points. Default 40. */
  readonly crashCheckEvery?: number;
}

/** Counts of what {@link exploreCrashes} has explored. */
export interface ExploreReport {
  readonly seeds: number;
  /** Points at which the power failed: one before each change of a disk and one after the last, in every recorded run. */
  readonly points: number;
  /** How often the check has passed, each time on different disks of the same run, or with other notes. */
  readonly states: number;
  /** Of these states, those in which the power had failed in a check at least once. */
  readonly nestedStates: number;
}

/** How many sets of survivors are tried at each point of a check. */
const NESTED_SURVIVORS = 3;
/** How many checks that do not wait run in one turn of the event loop. */
const CHECKS_PER_TURN = 64;

/**
 * Runs a scenario, and then simulates a power failure at every point of it at which a disk changes: with everything
 * that no sync has covered surviving, nothing of it, each item alone, all but each item, and random subsets. On each of
 * the resulting disks `check` recovers and checks that what was noted as acknowledged is there. The power also fails in
 * some of the checks, and in some of those that follow.
 *
 * Scenario and check must do the same when they are run again: no clock, no real timers or files, no randomness but
 * {@link ProcessRun.random}. They may be synchronous or return promises.
 *
 * @param scenario - run once for each seed
 * @param check - also run on empty disks: a crash may happen before anything was created
 * @returns what was explored, when every check has passed
 * @throws {@link ExplorationFailure} for the first check that fails; `TypeError`, `RangeError` for wrong options
 */
export async function exploreCrashes<Note = never>(
  scenario: Program<Note>,
  check: Program<Note>,
  options: ExploreOptions = {},
): Promise<ExploreReport> {
  const settings = checkExploreOptions(options);
  const exploration = new Exploration(scenario, check, settings);
  if (settings.replay !== undefined) await exploration.replay(parseCoordinate(settings.replay));
  else for (const seed of settings.seeds) await exploration.explore(seed);
  return exploration.report();
}

interface ExploreSettings extends SimulationSettings {
  readonly survivorsPerPoint: number;
  readonly crashesInCheck: number;
  readonly crashCheckEvery: number;
}

const OWN_OPTIONS = optionNames<Omit<ExploreOptions, keyof SimulationOptions>>({
  survivorsPerPoint: true,
  crashesInCheck: true,
  crashCheckEvery: true,
});

function checkExploreOptions(options: ExploreOptions): ExploreSettings {
  const common = checkSimulationOptions(options, [...COMMON_OPTIONS, ...OWN_OPTIONS]);
  const { survivorsPerPoint = 12, crashesInCheck = 2, crashCheckEvery = 40 } = options;
  return {
    ...common,
    survivorsPerPoint: checkInteger('survivorsPerPoint', survivorsPerPoint, 1, 10_000),
    crashesInCheck: checkInteger('crashesInCheck', crashesInCheck, 0, 4),
    crashCheckEvery: checkInteger('crashCheckEvery', crashCheckEvery, 1),
  };
}

/** The start of a run: the crashes before it, and the disks and notes that they left. */
interface RunStart<Note> {
  readonly seed: number;
  readonly crashes: readonly CrashStep[];
  /** Makes new disks each time: a run changes them. */
  readonly disks: () => DiskState[];
  readonly notes: readonly Note[];
  /** What happened before, in words. */
  readonly story: () => readonly string[];
}

class Exploration<Note> {
  readonly #scenario: Program<Note>;
  readonly #check: Program<Note>;
  readonly #settings: ExploreSettings;
  #seeds = 0;
  #points = 0;
  #states = 0;
  #nestedStates = 0;

  constructor(scenario: Program<Note>, check: Program<Note>, settings: ExploreSettings) {
    this.#scenario = scenario;
    this.#check = check;
    this.#settings = settings;
  }

  report(): ExploreReport {
    return Object.freeze({
      seeds: this.#seeds,
      points: this.#points,
      states: this.#states,
      nestedStates: this.#nestedStates,
    });
  }

  async explore(seed: number): Promise<void> {
    this.#seeds += 1;
    await this.#exploreRun(this.#scenario, this.#beginning(seed));
  }

  /** Follows a coordinate, and runs its one check. */
  async replay({ seed, crashes }: Coordinate): Promise<void> {
    this.#seeds += 1;
    let begun = this.#beginning(seed);
    let program = this.#scenario;
    for (const step of crashes) {
      const points = new CrashPoints(await this.#record(program, begun), begun.disks());
      points.goTo(step.point);
      this.#points += 1;
      begun = following(begun, points, step);
      program = this.#check;
    }
    await this.#execute(program, begun);
    if (crashes.length > 0) this.#count(crashes.length);
  }

  #beginning(seed: number): RunStart<Note> {
    const disks = (): DiskState[] => Array.from({ length: this.#settings.disks }, () => new DiskState());
    return { seed, crashes: [], disks, notes: [], story: () => [] };
  }

  /** Simulates a power failure at every point of a run. */
  async #exploreRun(program: Program<Note>, begun: RunStart<Note>): Promise<void> {
    const depth = begun.crashes.length;
    const place = placeOf(begun);
    const points = new CrashPoints(await this.#record(program, begun), begun.disks());
    const known = new Set<string>();
    for (let point = 0; point <= points.last; point++) {
      this.#points += 1;
      points.goTo(point);
      const setsMax = depth === 0 ? this.#settings.survivorsPerPoint : NESTED_SURVIVORS;
      for (const survivors of points.sets(setsMax, seedFrom(place, point))) {
        const next = following(begun, points, { point, survivors });
        const disks = next.disks();
        const sum = `${next.notes.length}/${disks.map((disk) => disk.sum)}`;
        if (known.has(sum)) continue;
        known.add(sum);
        await this.#execute(this.#check, next, disks);
        this.#count(depth + 1);
        if (depth < this.#settings.crashesInCheck && this.#states % this.#settings.crashCheckEvery === 0) {
          await this.#exploreRun(this.#check, next);
        }
      }
    }
  }

  #count(crashes: number): void {
    this.#states += 1;
    if (crashes > 1) this.#nestedStates += 1;
  }

  /** Executes one run to its end. */
  async #execute(program: Program<Note>, begun: RunStart<Note>, disks = begun.disks()): Promise<void> {
    const run = this.#makeRun(begun, disks);
    try {
      const waited = run.execute(program);
      if (waited !== undefined) await waited;
      else if (this.#states % CHECKS_PER_TURN === 0) await new Promise(setImmediate);
    } catch (cause) {
      throw failure(begun, cause);
    } finally {
      run.end();
    }
  }

  async #record(program: Program<Note>, begun: RunStart<Note>): Promise<Recording<Note>> {
    const run = this.#makeRun(begun, begun.disks());
    const recording = run.record();
    try {
      await run.execute(program);
    } catch (cause) {
      throw failure(begun, cause);
    } finally {
      run.end();
    }
    return recording;
  }

  #makeRun(begun: RunStart<Note>, disks: readonly DiskState[]): SimulatedRun<Note> {
    const { capacityBytes, createIo } = this.#settings;
    return new SimulatedRun(disks, capacityBytes, begun.seed, placeOf(begun), begun.notes, createIo);
  }
}

/** The start of the run after a crash in another. */
function following<Note>(begun: RunStart<Note>, points: CrashPoints<Note>, step: CrashStep): RunStart<Note> {
  return {
    seed: begun.seed,
    crashes: [...begun.crashes, step],
    disks: () => points.crashed(step.survivors),
    notes: points.notes,
    story: () => [...begun.story(), points.describe(step)],
  };
}

const coordinateOf = ({ seed, crashes }: RunStart<unknown>): Coordinate => ({ seed, fault: undefined, crashes });

const placeOf = (begun: RunStart<unknown>): string => formatCoordinate(coordinateOf(begun));

const failure = (begun: RunStart<unknown>, cause: unknown): ExplorationFailure =>
  makeFailure(coordinateOf(begun), begun.story(), cause);
