import { WalError } from '@walstack/codec';
import {
  ExplorationFailure,
  exploreCrashes,
  type InjectedFault,
  injectFaults,
  type ProcessRun,
  type Program,
  type SimulatedDisk,
  type SimulationOptions,
} from '@walstack/storage-io/simulation';
import type { CoreNote } from '../model/core-knowledge.js';
import type { LogNote } from '../model/knowledge.js';
import { ModelledCoreWriter, type WriterNote } from '../model/modelled-core-writer.js';
import { ModelledCores } from '../model/modelled-cores.js';
import { ModelledFollower } from '../model/modelled-follower.js';
import { ModelledLog } from '../model/modelled-log.js';
import { MODES, type Mode, type ModeName } from '../modes.js';
import type { CoresScenario, LogScenario, Scenario, WriterScenario } from '../scenario.js';

/** How much is tried of each scenario. */
export interface Effort {
  readonly seeds: readonly number[];
  readonly survivorsPerPoint: number;
  /** Whether every operation fails in its turn as well, with the first seed. */
  readonly faults: boolean;
}

/** What was tried of one scenario in one mode. */
export interface Outcome {
  readonly points: number;
  /** Those until the failure, where there is one. */
  readonly states: number;
  readonly faults: number;
  /** The first failure, after which nothing more is tried. */
  readonly failure: ExplorationFailure | undefined;
}

/** Lets the power go, and operations fail, in one scenario in one mode. */
export function exploreScenario(scenario: Scenario, mode: ModeName, effort: Effort): Promise<Outcome> {
  if ('run' in scenario) return explorePrograms(programsOf(scenario, MODES[mode]), effort);
  if ('runWriter' in scenario) return explorePrograms(writerProgramsOf(scenario, MODES[mode]), effort);
  return explorePrograms(coresProgramsOf(scenario, MODES[mode]), effort);
}

async function explorePrograms<Note>(programs: Programs<Note>, effort: Effort): Promise<Outcome> {
  const { seeds } = effort;
  const survivorsPerPoint = Math.ceil(effort.survivorsPerPoint / programs.weight);
  let crashes = { points: 0, states: 0 };
  let faults = { faults: 0, states: 0 };
  let failure: ExplorationFailure | undefined;
  let opened = 0;
  const check: Program<Note> = (run) => {
    opened++;
    return checkOnGoodDisks(programs, run);
  };
  try {
    crashes = await exploreCrashes(programs.scenario, check, {
      ...programs.options,
      seeds,
      survivorsPerPoint,
    });
    if (effort.faults) {
      const perFault = programs.weight === 1 ? {} : { pointsPerFault: 1, survivorsPerPoint: 1, recoveries: 1 };
      const options = { ...programs.options, ...perFault, seeds: seeds.slice(0, 1), accepts };
      faults = await injectFaults(programs.scenario, check, options);
    }
  } catch (error) {
    if (!(error instanceof ExplorationFailure)) throw error;
    failure = error;
  }
  const states = failure === undefined ? crashes.states + faults.states : opened;
  return { points: crashes.points, states, faults: faults.faults, failure };
}

/** Goes to one state of a scenario, which a failure has named. @throws the failure, if it is still one */
export function replayScenario(scenario: Scenario, mode: ModeName, replay: string): Promise<void> {
  if ('run' in scenario) return replayPrograms(programsOf(scenario, MODES[mode]), replay);
  if ('runWriter' in scenario) return replayPrograms(writerProgramsOf(scenario, MODES[mode]), replay);
  return replayPrograms(coresProgramsOf(scenario, MODES[mode]), replay);
}

async function replayPrograms<Note>(programs: Programs<Note>, replay: string): Promise<void> {
  const options = { ...programs.options, replay };
  const check: Program<Note> = (run) => checkOnGoodDisks(programs, run);
  if (replay.includes('!')) await injectFaults(programs.scenario, check, { ...options, accepts });
  else await exploreCrashes(programs.scenario, check, options);
}

/**
 * Checks in a new process; what a scenario has fail ends with its process, also when that is killed in the middle, and so does
 * the lack of room.
 */
function checkOnGoodDisks<Note>(
  programs: Programs<Note>,
  run: Parameters<Program<Note>>[0],
): ReturnType<Program<Note>> {
  for (const disk of run.disks) {
    disk.failWhen(undefined);
    disk.capacityBytes = Number.POSITIVE_INFINITY;
  }
  return programs.check(run);
}

interface Programs<Note> {
  readonly scenario: Program<Note>;
  readonly check: Program<Note>;
  readonly options: SimulationOptions;
  /** How much more work a state is than one of a single log: so much less is tried at each point. */
  readonly weight: number;
}

function programsOf(scenario: LogScenario, { io, config }: Mode): Programs<LogNote> {
  const logConfig = { ...config, ...scenario.config };
  return {
    scenario: (run) => scenario.run(new ModelledLog(run, logConfig, scenario.readers), run),
    check: (run) => openAndGoOn(new ModelledLog(run, logConfig, scenario.readers), run),
    options: optionsOf(io),
    weight: scenario.weight ?? 1,
  };
}

function coresProgramsOf(scenario: CoresScenario, { io, config }: Mode): Programs<CoreNote> {
  return {
    scenario: (run) => scenario.runCores(new ModelledCores(run, config), run),
    check: (run) => openCoresAndGoOn(new ModelledCores(run, config)),
    options: optionsOf(io),
    weight: scenario.weight ?? 4,
  };
}

function writerProgramsOf(scenario: WriterScenario, { io, config }: Mode): Programs<WriterNote> {
  return {
    scenario: (run) => scenario.runWriter(new ModelledCoreWriter(run, config), run),
    check: (run) => openWriterAndGoOn(new ModelledCoreWriter(run, config)),
    options: optionsOf(io),
    weight: scenario.weight ?? 2,
  };
}

const optionsOf = (io: Mode['io']): SimulationOptions => ({
  createIo: ([disk]) => (disk as SimulatedDisk).createStorageIo(io),
});

/** Opens the logs of all cores, goes on with them in one of several ways, and opens them again in another process. */
async function openCoresAndGoOn(cores: ModelledCores): Promise<void> {
  await cores.open({ incomplete: cores.random() < 0.5 ? 'take' : 'leave' });
  cores.appendSome(3, 300);
  const way = CORES_WAYS[Math.floor(cores.random() * CORES_WAYS.length)] as (typeof CORES_WAYS)[number];
  await way(cores);
  await cores.open();
}

const CORES_WAYS: readonly ((cores: ModelledCores) => Promise<void>)[] = [
  (cores) => cores.checkpoint(),
  (cores) => cores.endEpoch(),
  (cores) => cores.syncAll(),
  (cores) => cores.close(),
];

/** Opens the log of a core, goes on with it, and opens it again in another process. */
async function openWriterAndGoOn(log: ModelledCoreWriter): Promise<void> {
  await log.open();
  log.putSome(3, 900);
  if (log.random() < 0.5) log.commit();
  await log.sync();
  if (log.random() < 0.5) await log.truncate();
  await log.open();
}

/** Opens the log, goes on with it in one of several ways, and opens it again in another process. */
async function openAndGoOn(log: ModelledLog, run: ProcessRun<LogNote>): Promise<void> {
  const { hasBackup } = log;
  // Where the machine of the log is lost, its backup has to do without it.
  const isRestored = hasBackup && log.random() < 0.5;
  if (isRestored) await log.openBackup();
  // Followers need no writer, and none that has recovered the log.
  const hasFollowers = ModelledFollower.areIn(run.notes);
  if (hasFollowers && log.random() < 0.5) await ModelledFollower.resumeAll(run);
  await log.open();
  if (hasFollowers) await ModelledFollower.resumeAll(run);
  if (isRestored) await log.leaveBackup();
  else if (hasBackup) await log.backup();
  const way = WAYS[Math.floor(log.random() * WAYS.length)] as (typeof WAYS)[number];
  await way(log);
  // Whatever it took to open it: the next one need ask for nothing.
  await log.open({ recoveryMode: 'strict' });
}

const WAYS: readonly ((log: ModelledLog) => Promise<void>)[] = [
  async (log) => {
    log.append(700);
    log.append(5);
    await log.sync();
  },
  async (log) => {
    // Over several segments, so that files that were freed are used again.
    for (let record = 0; record < 4; record++) {
      log.append(1500);
      await log.sync();
    }
  },
  async (log) => {
    log.append(5);
    await log.truncate(log.random() < 0.5 ? 1 : 0.5);
    log.append(10);
    await log.sync();
  },
  async (log) => {
    log.append(5);
    await log.close();
  },
];

/** A log says of every failure of the disk which kind it is, and nothing else ends it. */
function accepts(error: unknown, { code }: InjectedFault): boolean {
  return WalError.is(error, code === 'ENOSPC' ? 'WAL_NO_SPACE' : 'WAL_IO_FAILED');
}
