/**
 * A simulated disk that loses what was not synced, for testing software that recovers after crashes.
 *
 * @packageDocumentation
 */
export type { StorageIo } from '../storage-io.js';
export type { FaultChooser } from './disk/disk-core.js';
export type { DiskOperation, FaultKind, OperationKind } from './disk/operation.js';
export type { SurvivorChooser, Survivors, UnsyncedThing } from './disk/survivors.js';
export { ExplorationFailure } from './explore/exploration-failure.js';
export { type ExploreOptions, type ExploreReport, exploreCrashes } from './explore/explore-crashes.js';
export type { SimulationOptions } from './explore/explore-options.js';
export { type FaultOptions, type FaultReport, type InjectedFault, injectFaults } from './explore/inject-faults.js';
export type { CreateIo, ProcessRun, Program } from './explore/process-run.js';
export { SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.js';
export type { SimulatedIoOptions } from './simulated-io.js';
