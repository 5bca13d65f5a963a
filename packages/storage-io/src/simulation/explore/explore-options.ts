import { checkInteger, checkOptions, invalidType, optionNames } from '@walstack/codec/internal';
import type { CreateIo } from './process-run.js';

/** The options that {@link exploreCrashes} and {@link injectFaults} share. */
export interface SimulationOptions {
  /** One run of the scenario for each seed: integers of at least 0. Default `[1]`. */
  readonly seeds?: readonly number[];
  /** The number of disks; a crash happens to all of them at the same point. 1 to 16, default 1. */
  readonly disks?: number;
  /** The capacity of each disk in bytes. Default: no limit. */
  readonly capacityBytes?: number;
  /** Makes the backend of a process. Default: `createStorageIo()` of the first disk. */
  readonly createIo?: CreateIo;
  /** Explores only the state of a failure: its `coordinate`. */
  readonly replay?: string;
}

/** The common options with defaults filled in. */
export interface SimulationSettings {
  readonly seeds: readonly number[];
  readonly disks: number;
  readonly capacityBytes: number;
  readonly createIo: CreateIo;
  readonly replay: string | undefined;
}

export const COMMON_OPTIONS = optionNames<SimulationOptions>({
  seeds: true,
  disks: true,
  capacityBytes: true,
  createIo: true,
  replay: true,
});

const onFirstDisk: CreateIo = ([disk]) => {
  if (disk === undefined) throw new Error('there is no disk');
  return disk.createStorageIo();
};

/** @throws `TypeError`, `RangeError` with Node's codes */
export function checkSimulationOptions<T extends SimulationOptions>(
  options: T,
  known: readonly (keyof T & string)[],
): SimulationSettings {
  const {
    seeds = [1],
    disks = 1,
    capacityBytes,
    createIo = onFirstDisk,
    replay,
  } = checkOptions('options', options, known);
  if (!Array.isArray(seeds)) throw invalidType('seeds', 'an array', seeds);
  for (const seed of seeds) checkInteger('seed', seed, 0);
  if (typeof createIo !== 'function') throw invalidType('createIo', 'a function', createIo);
  if (replay !== undefined && typeof replay !== 'string') throw invalidType('replay', 'a string', replay);
  return {
    seeds,
    disks: checkInteger('disks', disks, 1, 16),
    capacityBytes:
      capacityBytes === undefined ? Number.POSITIVE_INFINITY : checkInteger('capacityBytes', capacityBytes),
    createIo,
    replay,
  };
}
