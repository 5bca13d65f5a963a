/**
 * A simulated disk that loses what was not synced, for testing software that recovers after crashes.
 *
 * @packageDocumentation
 */
export type { StorageIo } from '../storage-io.js';
export type { FaultChooser } from './disk-core.js';
export { ExplorationFailure } from './exploration-failure.js';
export { type ExploreOptions, type ExploreReport, exploreCrashes } from './explore-crashes.js';
export type { SimulationOptions } from './explore-options.js';
export { type FaultOptions, type FaultReport, type InjectedFault, injectFaults } from './inject-faults.js';
export type { DiskOperation, FaultKind, OperationKind } from './operation.js';
export type { CreateIo, ProcessRun, Program } from './process-run.js';
export { SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.js';
export type { SimulatedIoOptions } from './simulated-io.js';
export type { SurvivorChooser, Survivors, UnsyncedThing } from './survivors.js';
