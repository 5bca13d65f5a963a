import { checkInteger, optionNames } from '@walstack/codec';
import { CrashPoints } from './crash-points.js';
import { DiskState } from './disk-state.js';
import { ExplorationFailure } from './exploration-failure.js';
import {
  COMMON_OPTIONS,
  checkSimulationOptions,
  type SimulationOptions,
  type SimulationSettings,
} from './explore-options.js';
import { type Program, type Recording, SimulatedLife } from './process-run.js';
import { seedFrom } from './random.js';
import { type Coordinate, type CrashStep, formatCoordinate, parseCoordinate } from './replay-coordinate.js';

/** Options of {@link exploreCrashes}. */
export interface ExploreOptions extends SimulationOptions {
  /** How many sets of survivors are tried at each point at most; 1 to 10,000. Default 12. */
  readonly survivorsPerPoint?: number;
  /** How many further crashes may come inside the check, one inside the other; 0 to 4. Default 2. */
  readonly crashesInCheck?: number;
  /** The check of every so many-th state is crashed in its turn, at each of its points. Default 40. */
  readonly crashCheckEvery?: number;
}

/** What {@link exploreCrashes} has looked at. */
export interface ExploreReport {
  readonly seeds: number;
  /** Moments at which the power went: one before each change of a disk and one behind the last, in every recorded life. */
  readonly points: number;
  /** Times that the check has passed, each on disks that differ from the others of the same life, or with other notes. */
  readonly states: number;
  /** Of these states, those in which the power had gone in a check at least once. */
  readonly nestedStates: number;
}

/** At so many points of a check the power goes in as many ways. */
const NESTED_SURVIVORS = 3;
/** So many checks that do not wait are made in one turn of the event loop. */
const CHECKS_PER_TURN = 64;

/**
 * Runs a scenario, and then, for every point of it at which a disk changes, lets the power go there: with all that no
 * sync has covered surviving, nothing of it, each thing alone, all but each, and as chance has it. On each of the disks
 * that this leaves, `check` recovers and looks whether what was noted as acknowledged is there. Then the power goes in
 * some of the checks, too, and in some of those that follow.
 *
 * Scenario and check must do the same when they are run again: no clock, no real timers or files, no randomness but
 * {@link Life.random}. They may be synchronous or return promises.
 *
 * @param scenario - run once for each seed
 * @param check - run on empty disks, too: a crash may come before anything was made
 * @returns what was explored, when every check has passed
 * @throws {@link ExplorationFailure} for the first one that has not; `TypeError`, `RangeError` for wrong options
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

/** Where a life begins: how often it was lived before, and what was left. */
interface Beginning<Note> {
  readonly seed: number;
  readonly crashes: readonly CrashStep[];
  /** Makes the disks anew each time: a life changes them. */
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
    await this.#exploreLife(this.#scenario, this.#beginning(seed));
  }

  /** Goes the way of a coordinate, and makes its one check. */
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
    await this.#live(program, begun);
    if (crashes.length > 0) this.#count(crashes.length);
  }

  #beginning(seed: number): Beginning<Note> {
    const disks = (): DiskState[] => Array.from({ length: this.#settings.disks }, () => new DiskState());
    return { seed, crashes: [], disks, notes: [], story: () => [] };
  }

  /** Lets the power go at every point of a life. */
  async #exploreLife(program: Program<Note>, begun: Beginning<Note>): Promise<void> {
    const depth = begun.crashes.length;
    const place = placeOf(begun);
    const points = new CrashPoints(await this.#record(program, begun), begun.disks());
    const known = new Set<string>();
    for (let point = 0; point <= points.last; point++) {
      this.#points += 1;
      points.goTo(point);
      const most = depth === 0 ? this.#settings.survivorsPerPoint : NESTED_SURVIVORS;
      for (const survivors of points.sets(most, seedFrom(place, point))) {
        const next = following(begun, points, { point, survivors });
        const disks = next.disks();
        const sum = `${next.notes.length}/${disks.map((disk) => disk.sum)}`;
        if (known.has(sum)) continue;
        known.add(sum);
        await this.#live(this.#check, next, disks);
        this.#count(depth + 1);
        if (depth < this.#settings.crashesInCheck && this.#states % this.#settings.crashCheckEvery === 0) {
          await this.#exploreLife(this.#check, next);
        }
      }
    }
  }

  #count(crashes: number): void {
    this.#states += 1;
    if (crashes > 1) this.#nestedStates += 1;
  }

  /** Lives one life to its end. */
  async #live(program: Program<Note>, begun: Beginning<Note>, disks = begun.disks()): Promise<void> {
    const life = this.#life(begun, disks);
    try {
      const waited = life.live(program);
      if (waited !== undefined) await waited;
      else if (this.#states % CHECKS_PER_TURN === 0) await new Promise(setImmediate);
    } catch (cause) {
      throw failure(begun, cause);
    } finally {
      life.end();
    }
  }

  async #record(program: Program<Note>, begun: Beginning<Note>): Promise<Recording<Note>> {
    const life = this.#life(begun, begun.disks());
    const recording = life.record();
    try {
      await life.live(program);
    } catch (cause) {
      throw failure(begun, cause);
    } finally {
      life.end();
    }
    return recording;
  }

  #life(begun: Beginning<Note>, disks: readonly DiskState[]): SimulatedLife<Note> {
    const { capacityBytes, createIo } = this.#settings;
    return new SimulatedLife(disks, capacityBytes, begun.seed, placeOf(begun), begun.notes, createIo);
  }
}

/** The life after a crash in another. */
function following<Note>(begun: Beginning<Note>, points: CrashPoints<Note>, step: CrashStep): Beginning<Note> {
  return {
    seed: begun.seed,
    crashes: [...begun.crashes, step],
    disks: () => points.crashed(step.survivors),
    notes: points.notes,
    story: () => [...begun.story(), points.describe(step)],
  };
}

const coordinateOf = ({ seed, crashes }: Beginning<unknown>): Coordinate => ({ seed, fault: undefined, crashes });

const placeOf = (begun: Beginning<unknown>): string => formatCoordinate(coordinateOf(begun));

const failure = (begun: Beginning<unknown>, cause: unknown): ExplorationFailure =>
  new ExplorationFailure(coordinateOf(begun), begun.story(), cause);
