import type { SegmentedWalConfig } from '@walstack/segmented';
import type { Life } from '@walstack/storage-io/simulation';
import type { LogNote } from './model/knowledge.js';
import type { ModelledLog } from './model/modelled-log.js';
import type { ModeName } from './modes.js';

/** Something done to a log, in the course of which the power may go at any moment. One file for each. */
export interface Scenario {
  /** What is under test; for a rule of the format, the rule. */
  readonly about: string;
  /** On which kinds of backend. Default: on all. */
  readonly modes?: readonly ModeName[];
  /** How its logs are configured, besides what the mode says. */
  readonly config?: Partial<SegmentedWalConfig>;
  /** Does it. It must do the same again with the same numbers from `log.random`. */
  run(log: ModelledLog, life: Life<LogNote>): Promise<void>;
}
