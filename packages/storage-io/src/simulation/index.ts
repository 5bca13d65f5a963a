/**
 * A disk that forgets, for testing what recovers from it.
 *
 * @packageDocumentation
 */
export type { StorageIo } from '../storage-io.js';
export type { FaultChooser } from './disk-core.js';
export type { DiskOperation, FaultKind, OperationKind } from './operation.js';
export { SimulatedDisk, type SimulatedDiskOptions } from './simulated-disk.js';
export type { SimulatedIoOptions } from './simulated-io.js';
export type { SurvivorChooser, Survivors, UnsyncedThing } from './survivors.js';
