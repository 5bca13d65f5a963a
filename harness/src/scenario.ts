import type { SegmentedWalConfig } from '@walstack/segmented';
import type { ProcessRun } from '@walstack/storage-io/simulation';
import type { CoreNote } from './model/core-knowledge.js';
import type { LogNote } from './model/knowledge.js';
import type { ModelledCoreWriter, WriterNote } from './model/modelled-core-writer.js';
import type { ModelledCores } from './model/modelled-cores.js';
import type { ModelledLog } from './model/modelled-log.js';
import type { ModeName } from './modes.js';

/** What every scenario says. */
interface AnyScenario {
  /** What is under test; for a rule of the format, the rule. */
  readonly about: string;
  /** How much more work a state of it is than one of a small log: so much less is tried at each point. Default 1, 4 with cores. */
  readonly weight?: number;
  /** On which kinds of backend. Default: on all. */
  readonly modes?: readonly ModeName[];
}

/** Something done to a log, in the course of which the power may go at any moment. */
export interface LogScenario extends AnyScenario {
  /** How its logs are configured, besides what the mode says. */
  readonly config?: Partial<SegmentedWalConfig>;
  /** Whether the log is read in every way, before and after each opening. Default `false`. */
  readonly readers?: boolean;
  /** Does it. It must do the same again with the same numbers from `log.random`. */
  run(log: ModelledLog, run: ProcessRun<LogNote>): Promise<void>;
}

/** The same, of a log with one writer for each core. */
export interface CoresScenario extends AnyScenario {
  /** Does it. It must do the same again with the same numbers from `cores.random`. */
  runCores(cores: ModelledCores, run: ProcessRun<CoreNote>): Promise<void>;
}

/** The same, of the log of one core without a manager. */
export interface WriterScenario extends AnyScenario {
  /** Does it. It must do the same again with the same numbers from `log.random`. */
  runWriter(log: ModelledCoreWriter, run: ProcessRun<WriterNote>): Promise<void>;
}

/** One file for each. */
export type Scenario = LogScenario | CoresScenario | WriterScenario;
