import { checkInteger, checkOneOf, invalidType, optionNames } from '@walstack/codec';
import { type Coordinate, type CrashStep, type FaultStep, formatCoordinate, parseCoordinate } from './coordinate.js';
import { CrashPoints } from './crash-points.js';
import { DiskState } from './disk-state.js';
import { ExplorationFailure } from './exploration-failure.js';
import {
  COMMON_OPTIONS,
  checkSimulationOptions,
  type SimulationOptions,
  type SimulationSettings,
} from './explore-options.js';
import { type Program, type Recording, SimulatedLife } from './life.js';
import { canFail, codeOf, type DiskOperation, FAULT_KINDS, type FaultKind } from './operation.js';
import { Random, seedFrom } from './random.js';
import { coreOf } from './simulated-disk.js';

/** Options of {@link injectFaults}. */
export interface FaultOptions extends SimulationOptions {
  /** How operations fail. Default: in every way. */
  readonly kinds?: readonly FaultKind[];
  /** At how many points the power goes after each fault; 1 to 10,000. Default 4: first, last, and two in between. */
  readonly pointsPerFault?: number;
  /** How many sets of survivors are tried at each of these points at most; 1 to 10,000. Default 3. */
  readonly survivorsPerPoint?: number;
  /**
   * Whether a scenario in which an operation has failed may end with this error. Default: when it, or one of its causes,
   * has the fault's name as `code` or `systemCode`.
   */
  readonly accepts?: (error: unknown, fault: InjectedFault) => boolean;
}

/** An operation that failed. */
export interface InjectedFault {
  readonly kind: FaultKind;
  /** The system's name for it, `'EIO'` or `'ENOSPC'`. */
  readonly code: string;
  readonly operation: DiskOperation;
}

/** What {@link injectFaults} has looked at. */
export interface FaultReport {
  readonly seeds: number;
  /** Runs of the scenario with one operation failing. */
  readonly faults: number;
  /** Times that the check has passed: on the disk as the program left it, and after power cuts. */
  readonly states: number;
}

/**
 * Runs a scenario again and again, each time with another of its operations failing in another way, until every
 * operation has failed in every way in which it can.
 *
 * The scenario may end with an error then, or carry on. Its process is killed; `check` is run on the disk as it is, with
 * a cache that still shows what a failed sync has dropped; and it is run once more after power cuts, the first right
 * after the scenario, others while or after the check did its work. What the scenario has noted as acknowledged by then,
 * and what the check has, is to be there.
 *
 * @returns how much was tried, when every check has passed
 * @throws {@link ExplorationFailure} for the first one that has not, and for a scenario that ends with an error that has
 * nothing to do with the fault; `TypeError`, `RangeError` for wrong options
 */
export async function injectFaults<Note = never>(
  scenario: Program<Note>,
  check: Program<Note>,
  options: FaultOptions = {},
): Promise<FaultReport> {
  const settings = checkFaultOptions(options);
  const injection = new Injection(scenario, check, settings);
  if (settings.replay !== undefined) await injection.replay(parseCoordinate(settings.replay));
  else for (const seed of settings.seeds) await injection.run(seed);
  return injection.report();
}

interface FaultSettings extends SimulationSettings {
  readonly kinds: readonly FaultKind[];
  readonly pointsPerFault: number;
  readonly survivorsPerPoint: number;
  readonly accepts: (error: unknown, fault: InjectedFault) => boolean;
}

const OWN_OPTIONS = optionNames<Omit<FaultOptions, keyof SimulationOptions>>({
  kinds: true,
  pointsPerFault: true,
  survivorsPerPoint: true,
  accepts: true,
});

function checkFaultOptions(options: FaultOptions): FaultSettings {
  const common = checkSimulationOptions(options, [...COMMON_OPTIONS, ...OWN_OPTIONS]);
  const { kinds = FAULT_KINDS, pointsPerFault = 4, survivorsPerPoint = 3, accepts = comesFrom } = options;
  if (!Array.isArray(kinds)) throw invalidType('kinds', 'an array', kinds);
  if (typeof accepts !== 'function') throw invalidType('accepts', 'a function', accepts);
  return {
    ...common,
    kinds: kinds.map((kind) => checkOneOf('kind', kind, FAULT_KINDS)),
    pointsPerFault: checkInteger('pointsPerFault', pointsPerFault, 1, 10_000),
    survivorsPerPoint: checkInteger('survivorsPerPoint', survivorsPerPoint, 1, 10_000),
    accepts,
  };
}

/** Whether an error, or one of its causes, is named as the fault is. */
function comesFrom(error: unknown, { code }: InjectedFault): boolean {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = (cause as { cause?: unknown }).cause) {
    const { code: ofError, systemCode } = cause as { code?: unknown; systemCode?: unknown };
    if (ofError === code || systemCode === code) return true;
  }
  return false;
}

/** A run in which an operation failed. */
interface FaultyRun<Note> {
  readonly recording: Recording<Note>;
  /** Where the scenario had ended, and the check began. */
  readonly reopenedAt: number;
  readonly story: string;
}

class Injection<Note> {
  readonly #scenario: Program<Note>;
  readonly #check: Program<Note>;
  readonly #settings: FaultSettings;
  #seeds = 0;
  #faults = 0;
  #states = 0;

  constructor(scenario: Program<Note>, check: Program<Note>, settings: FaultSettings) {
    this.#scenario = scenario;
    this.#check = check;
    this.#settings = settings;
  }

  report(): FaultReport {
    return Object.freeze({ seeds: this.#seeds, faults: this.#faults, states: this.#states });
  }

  async run(seed: number): Promise<void> {
    this.#seeds += 1;
    for (const { disk, operation } of await this.#operationsOf(seed)) {
      for (const kind of this.#settings.kinds) {
        if (canFail(operation.kind, kind)) await this.#explore(seed, { disk, operation: operation.number, kind });
      }
    }
  }

  async replay({ seed, fault, crashes }: Coordinate): Promise<void> {
    this.#seeds += 1;
    if (fault === undefined) {
      await this.#operationsOf(seed);
      return;
    }
    const run = await this.#runWith(seed, fault);
    const [step] = crashes;
    if (step === undefined) return;
    const points = new CrashPoints(run.recording, this.#emptyDisks());
    points.goTo(step.point);
    await this.#checkCrash(seed, fault, run, points, step);
  }

  /** What the scenario asks of the disks when nothing fails. */
  async #operationsOf(seed: number): Promise<{ disk: number; operation: DiskOperation }[]> {
    const operations: { disk: number; operation: DiskOperation }[] = [];
    const at: Coordinate = { seed, fault: undefined, crashes: [] };
    const life = this.#life(this.#emptyDisks(), at, []);
    for (const [index, disk] of life.disks.entries()) {
      coreOf(disk).watcher = (operation) => operations.push({ disk: index, operation });
    }
    try {
      await life.live(this.#scenario);
    } catch (cause) {
      throw new ExplorationFailure(at, ['nothing failed, and there was no crash'], cause);
    } finally {
      life.end();
    }
    return operations;
  }

  async #explore(seed: number, fault: FaultStep): Promise<void> {
    const run = await this.#runWith(seed, fault);
    const points = new CrashPoints(run.recording, this.#emptyDisks());
    for (const point of this.#pointsFrom(run.reopenedAt, points.last, seedFrom(seed, fault.operation))) {
      points.goTo(point);
      for (const survivors of points.sets(this.#settings.survivorsPerPoint, seedFrom(seed, point))) {
        await this.#checkCrash(seed, fault, run, points, { point, survivors });
      }
    }
  }

  /** Runs the scenario with one fault, then the check in a new process on the same disks. */
  async #runWith(seed: number, fault: FaultStep): Promise<FaultyRun<Note>> {
    const at: Coordinate = { seed, fault, crashes: [] };
    // The same life as the one without a fault, up to the fault.
    const life = this.#life(this.#emptyDisks(), { ...at, fault: undefined }, []);
    const recording = life.record();
    const core = coreOf(life.disks[fault.disk] ?? outside(fault));
    let operation: DiskOperation | undefined;
    core.injectFault = (asked) => {
      if (asked.number !== fault.operation) return undefined;
      operation = asked;
      return fault.kind;
    };
    const story: string[] = [];
    this.#faults += 1;
    try {
      const thrown = await errorOf(() => life.live(this.#scenario));
      operation ??= outside(fault);
      const injected: InjectedFault = { kind: fault.kind, code: codeOf(fault.kind), operation };
      story.push(`operation ${operation.number}, ${operation.kind} of ${operation.path}, failed: ${fault.kind}`);
      if (thrown !== undefined && !this.#settings.accepts(thrown.error, injected)) {
        story.push('the scenario ended with an error that does not come from that');
        throw thrown.error;
      }
      const reopenedAt = life.recorded;
      story.push(thrown === undefined ? 'the scenario went on to its end' : 'the scenario ended with that error');
      life.restart();
      story.push('a new process was started');
      await life.live(this.#check);
      this.#states += 1;
      return { recording, reopenedAt, story: story.slice(0, -1).join('; ') };
    } catch (cause) {
      throw new ExplorationFailure(at, story, cause);
    } finally {
      life.end();
    }
  }

  async #checkCrash(
    seed: number,
    fault: FaultStep,
    run: FaultyRun<Note>,
    points: CrashPoints<Note>,
    step: CrashStep,
  ): Promise<void> {
    const at: Coordinate = { seed, fault, crashes: [step] };
    const life = this.#life(points.crashed(step.survivors), at, points.notes);
    try {
      await life.live(this.#check);
      this.#states += 1;
    } catch (cause) {
      const reopened = step.point > run.reopenedAt ? ['a new process was started'] : [];
      throw new ExplorationFailure(at, [run.story, ...reopened, points.describe(step)], cause);
    } finally {
      life.end();
    }
  }

  /** The first and the last of a range, and others between them as chance has it. */
  #pointsFrom(first: number, last: number, seed: number): number[] {
    const between = Array.from({ length: Math.max(0, last - first - 1) }, (_, index) => first + 1 + index);
    const some = new Random(seed).shuffle(between).slice(0, Math.max(0, this.#settings.pointsPerFault - 2));
    const ends = this.#settings.pointsPerFault === 1 || first === last ? [last] : [first, last];
    return [...ends, ...some].sort((a, b) => a - b);
  }

  #emptyDisks(): DiskState[] {
    return Array.from({ length: this.#settings.disks }, () => new DiskState());
  }

  #life(states: readonly DiskState[], at: Coordinate, notes: readonly Note[]): SimulatedLife<Note> {
    const { capacityBytes, createIo } = this.#settings;
    return new SimulatedLife(states, capacityBytes, at.seed, formatCoordinate(at), notes, createIo);
  }
}

/** What a run ends with when it does not end well. */
async function errorOf(run: () => void | Promise<void>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function outside({ disk, operation }: FaultStep): never {
  throw new RangeError(`the scenario has no operation ${operation} on disk ${disk}: it is another one by now`);
}
