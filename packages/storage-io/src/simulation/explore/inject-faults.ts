import { checkInteger, checkOneOf, invalidType, optionNames } from '@walstack/codec/internal';
import { changesNames } from '../disk/disk-change.js';
import { DiskState } from '../disk/disk-state.js';
import {
  canFail,
  codeOf,
  type DiskOperation,
  FAULT_KINDS,
  type FaultKind,
  isLasting,
  isPassing,
} from '../disk/operation.js';
import { inTurns, Random, seedFrom } from '../random.js';
import { CrashPoints } from './crash-points.js';
import { type ExplorationFailure, makeFailure } from './exploration-failure.js';
import {
  COMMON_OPTIONS,
  checkSimulationOptions,
  type SimulationOptions,
  type SimulationSettings,
} from './explore-options.js';
import { type Program, type Recording, SimulatedRun } from './process-run.js';
import {
  type Coordinate,
  type CrashStep,
  type FaultStep,
  formatCoordinate,
  parseCoordinate,
} from './replay-coordinate.js';

/** Options of {@link injectFaults}. */
export interface FaultOptions extends SimulationOptions {
  /** The faults to inject. Default: all. */
  readonly kinds?: readonly FaultKind[];
  /** At how many points the power fails after each fault; 1 to 10,000. Default 4: first, last, and two in between. */
  readonly pointsPerFault?: number;
  /** How many sets of survivors are tried at each of these points at most; 1 to 10,000. Default 3. */
  readonly survivorsPerPoint?: number;
  /**
   * After how many power cuts of a scenario without faults every operation of the check fails as well, one at a time; 0
   * to 1,000. Default 2.
   */
  readonly recoveries?: number;
  /**
   * Whether a scenario in which an operation has failed may end with this error. Default: when it, or one of its causes,
   * has the fault's name as `code` or `systemCode`.
   */
  readonly accepts?: (error: unknown, fault: InjectedFault) => boolean;
}

/** A temporary fault ends after fewer operations than this many processes make. */
const PROCESSES_MOST = 100;

/** An operation that failed. */
export interface InjectedFault {
  readonly kind: FaultKind;
  /** The name of the system error: `'EIO'`, `'ENOSPC'` or `'EROFS'`. */
  readonly code: string;
  readonly operation: DiskOperation;
}

/** Counts of what {@link injectFaults} has tried. */
export interface FaultReport {
  readonly seeds: number;
  /** Runs of the scenario, or of the check after a power cut, with one operation failing. */
  readonly faults: number;
  /** How often the check has passed: on the disk as the program left it, and after power cuts. */
  readonly states: number;
}

/**
 * Runs a scenario repeatedly, each time with one fault of one of its operations, until every operation has failed with
 * every fault that it can have.
 *
 * The scenario may end with that error, or continue. Then its process is killed; `check` is run on the disk as it is,
 * with a cache that still contains what a failed sync has dropped; and it is run again after power cuts, the first one
 * right after the scenario, others during or after the check. What scenario and check have noted as acknowledged by
 * then has to be there. On a disk with a permanent fault, the check may end with an error like the scenario; with a
 * temporary fault, it is run in one process after another until it has passed.
 *
 * Then the power fails at some points of a scenario without faults, and the same is done with the check that follows.
 *
 * @returns how much was tried, when every check has passed
 * @throws {@link ExplorationFailure} for the first check that fails, and for a scenario that ends with an error that
 * the fault does not explain; `TypeError`, `RangeError` for wrong options
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
  readonly recoveries: number;
  readonly accepts: (error: unknown, fault: InjectedFault) => boolean;
}

const OWN_OPTIONS = optionNames<Omit<FaultOptions, keyof SimulationOptions>>({
  kinds: true,
  pointsPerFault: true,
  survivorsPerPoint: true,
  recoveries: true,
  accepts: true,
});

function checkFaultOptions(options: FaultOptions): FaultSettings {
  const common = checkSimulationOptions(options, [...COMMON_OPTIONS, ...OWN_OPTIONS]);
  const {
    kinds = FAULT_KINDS,
    pointsPerFault = 4,
    survivorsPerPoint = 3,
    recoveries = 2,
    accepts = comesFrom,
  } = options;
  if (!Array.isArray(kinds)) throw invalidType('kinds', 'an array', kinds);
  if (typeof accepts !== 'function') throw invalidType('accepts', 'a function', accepts);
  return {
    ...common,
    kinds: kinds.map((kind) => checkOneOf('kind', kind, FAULT_KINDS)),
    pointsPerFault: checkInteger('pointsPerFault', pointsPerFault, 1, 10_000),
    survivorsPerPoint: checkInteger('survivorsPerPoint', survivorsPerPoint, 1, 10_000),
    recoveries: checkInteger('recoveries', recoveries, 0, 1000),
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

/** The program whose operations fail: the scenario, or the check after a power cut. */
interface Part<Note> {
  readonly seed: number;
  readonly after: readonly CrashStep[];
  readonly program: Program<Note>;
  /** Makes new disks each time: a run changes them. */
  readonly disks: () => DiskState[];
  readonly notes: readonly Note[];
  /** What happened before, in words. */
  readonly story: readonly string[];
}

/** A run in which an operation failed. */
interface FaultyRun<Note> {
  readonly recording: Recording<Note>;
  /** Where the program had ended, and the check began. */
  readonly reopenedAt: number;
  readonly story: readonly string[];
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
    const scenario = this.#scenarioOf(seed);
    await this.#failEach(scenario);
    const { recoveries } = this.#settings;
    if (recoveries === 0) return;
    const { last } = await this.#pointsOf(scenario);
    const random = new Random(seedFrom(seed, 'recoveries'));
    const chosen = Array.from({ length: recoveries }, () => random.below(last + 1)).sort((a, b) => a - b);
    const points = await this.#pointsOf(scenario);
    for (const point of new Set(chosen)) {
      points.goTo(point);
      const sets = points.sets(this.#settings.survivorsPerPoint, seedFrom(seed, point));
      const survivors = sets[random.below(sets.length)] ?? 'none';
      await this.#failEach(this.#recoveryOf(scenario, points, { point, survivors }));
    }
  }

  async replay({ seed, fault, crashes }: Coordinate): Promise<void> {
    this.#seeds += 1;
    let part = this.#scenarioOf(seed);
    if (fault === undefined) {
      await this.#operationsOf(part);
      return;
    }
    for (const step of fault.after) {
      const points = await this.#pointsOf(part);
      points.goTo(step.point);
      part = this.#recoveryOf(part, points, step);
    }
    const run = await this.#runWith(part, fault);
    const [step] = crashes;
    if (step === undefined) return;
    const points = new CrashPoints(run.recording, part.disks());
    points.goTo(step.point);
    await this.#checkCrash(part, fault, run, points, step);
  }

  #scenarioOf(seed: number): Part<Note> {
    const disks = (): DiskState[] => Array.from({ length: this.#settings.disks }, () => new DiskState());
    return { seed, after: [], program: this.#scenario, disks, notes: [], story: [] };
  }

  /** The check after a power cut in a part in which nothing fails. */
  #recoveryOf(part: Part<Note>, points: CrashPoints<Note>, step: CrashStep): Part<Note> {
    const left = points.crashed(step.survivors);
    return {
      seed: part.seed,
      after: [...part.after, step],
      program: this.#check,
      disks: () => left.map((disk) => disk.crashed(() => true)),
      notes: points.notes,
      story: [...part.story, points.describe(step)],
    };
  }

  async #failEach(part: Part<Note>): Promise<void> {
    const { seed, after } = part;
    for (const { disk, operation } of await this.#operationsOf(part)) {
      for (const kind of this.#settings.kinds) {
        if (!canFail(operation.kind, kind)) continue;
        const fault = { after, disk, operation: operation.number, kind };
        const run = await this.#runWith(part, fault);
        const points = new CrashPoints(run.recording, part.disks());
        for (const point of this.#pointsIn(run, points.last, seedFrom(seed, fault.operation))) {
          points.goTo(point);
          for (const survivors of points.sets(this.#settings.survivorsPerPoint, seedFrom(seed, point))) {
            await this.#checkCrash(part, fault, run, points, { point, survivors });
          }
        }
      }
    }
  }

  /** The operations of a part without faults. */
  async #operationsOf(part: Part<Note>): Promise<{ disk: number; operation: DiskOperation }[]> {
    const operations: { disk: number; operation: DiskOperation }[] = [];
    await this.#executeCleanly(part, (run) => {
      for (const [index, core] of run.cores.entries()) {
        core.watcher = (operation) => operations.push({ disk: index, operation });
      }
    });
    return operations;
  }

  /** The changes of the disks in a part without faults. */
  async #pointsOf(part: Part<Note>): Promise<CrashPoints<Note>> {
    let recording: Recording<Note> | undefined;
    await this.#executeCleanly(part, (run) => {
      recording = run.record();
    });
    return new CrashPoints(recording as Recording<Note>, part.disks());
  }

  async #executeCleanly(part: Part<Note>, begin: (run: SimulatedRun<Note>) => void): Promise<void> {
    const at: Coordinate = { seed: part.seed, fault: undefined, crashes: part.after };
    const run = this.#makeRun(part.disks(), at, part.notes);
    begin(run);
    try {
      await run.execute(part.program);
    } catch (cause) {
      throw makeFailure(at, [...part.story, 'nothing failed, and there was no other crash'], cause);
    } finally {
      run.end();
    }
  }

  /** Runs a part with one fault, then the check in a new process on the same disks. */
  async #runWith(part: Part<Note>, fault: FaultStep): Promise<FaultyRun<Note>> {
    const { seed } = part;
    const at: Coordinate = { seed, fault, crashes: [] };
    // The same run as the one without a fault, up to the fault.
    const run = this.#makeRun(part.disks(), { seed, fault: undefined, crashes: part.after }, part.notes);
    const recording = run.record();
    const core = run.cores[fault.disk] ?? outside(fault);
    let operation: DiskOperation | undefined;
    core.injectFault = (asked) => {
      if (asked.number !== fault.operation) return undefined;
      operation = asked;
      return fault.kind;
    };
    const story = [...part.story];
    this.#faults += 1;
    try {
      const isKilled = (): boolean => fault.kind === 'killed' && operation !== undefined;
      const thrown = await errorOf(() => run.execute(part.program, isKilled));
      operation ??= outside(fault);
      const injected: InjectedFault = { kind: fault.kind, code: codeOf(fault.kind), operation };
      story.push(`operation ${operation.number}, ${operation.kind} of ${operation.path}, failed: ${fault.kind}`);
      const what = part.after.length === 0 ? 'the scenario' : 'the check';
      // The outcome of a dead process does not count.
      const isDead = fault.kind === 'killed';
      if (thrown !== undefined && !isDead && !this.#settings.accepts(thrown.error, injected)) {
        story.push(`${what} ended with an error that does not come from that`);
        throw thrown.error;
      }
      const reopenedAt = run.recorded;
      story.push(isDead || thrown !== undefined ? `${what} ended with that` : `${what} went on to its end`);
      const before = [...story];
      await this.#checkSame(run, injected, story);
      this.#states += 1;
      return { recording, reopenedAt, story: before };
    } catch (cause) {
      throw makeFailure(at, story, cause);
    } finally {
      run.end();
    }
  }

  /** Runs the check on the disks as they are, in a new process; in several, one after another, where a fault is temporary. */
  async #checkSame(run: SimulatedRun<Note>, fault: InjectedFault, story: string[]): Promise<void> {
    for (let processes = 1; ; processes++) {
      run.restart();
      story.push('a new process was started');
      const checked = await errorOf(() => run.execute(this.#check));
      if (checked === undefined) return;
      if (!isLasting(fault.kind) || processes === PROCESSES_MOST || !this.#settings.accepts(checked.error, fault)) {
        throw checked.error;
      }
      if (!isPassing(fault.kind)) return;
      story.push('the check ended with that as well');
    }
  }

  async #checkCrash(
    { seed }: Part<Note>,
    fault: FaultStep,
    run: FaultyRun<Note>,
    points: CrashPoints<Note>,
    step: CrashStep,
  ): Promise<void> {
    const at: Coordinate = { seed, fault, crashes: [step] };
    const checkRun = this.#makeRun(points.crashed(step.survivors), at, points.notes);
    try {
      await checkRun.execute(this.#check);
      this.#states += 1;
    } catch (cause) {
      const reopened = step.point > run.reopenedAt ? ['a new process was started'] : [];
      throw makeFailure(at, [...run.story, ...reopened, points.describe(step)], cause);
    } finally {
      checkRun.end();
    }
  }

  /** The points where the check began and ended, and random ones between them, also right after changes of names. */
  #pointsIn({ recording, reopenedAt: first }: FaultyRun<Note>, last: number, seed: number): number[] {
    const between = Array.from({ length: Math.max(0, last - first - 1) }, (_, index) => first + 1 + index);
    const shuffled = new Random(seed).shuffle(between);
    const isNamed = (point: number): boolean => changesNames(recording.changes[point - 1]?.change);
    const some = inTurns(
      shuffled.filter(isNamed),
      shuffled.filter((point) => !isNamed(point)),
    );
    const ends = this.#settings.pointsPerFault === 1 || first === last ? [last] : [first, last];
    return [...ends, ...some.slice(0, Math.max(0, this.#settings.pointsPerFault - 2))].sort((a, b) => a - b);
  }

  #makeRun(states: readonly DiskState[], at: Coordinate, notes: readonly Note[]): SimulatedRun<Note> {
    const { capacityBytes, createIo } = this.#settings;
    return new SimulatedRun(states, capacityBytes, at.seed, formatCoordinate(at), notes, createIo);
  }
}

/** What a run throws; `undefined` when it succeeds. */
async function errorOf(run: () => void | Promise<void>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return { error };
  }
}

function outside({ disk, operation }: FaultStep): never {
  throw new RangeError(`the scenario has no operation ${operation} on disk ${disk}: the scenario has changed`);
}
