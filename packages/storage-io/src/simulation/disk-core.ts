import { Device } from './device.js';
import type { DirectoryInode } from './directory-inode.js';
import type { DiskChange } from './disk-change.js';
import type { DiskState, Inode } from './disk-state.js';
import { type DiskOperation, diskError, type FaultKind, type OperationKind } from './operation.js';
import { Random, seedFrom } from './random.js';
import { SECTOR_BYTES } from './sector.js';

/** Says whether an operation fails, and how. */
export type FaultChooser = (operation: DiskOperation) => FaultKind | undefined;

/** Where a path leads: to a directory, and a name that may be in it. */
export interface Place {
  readonly directory: DirectoryInode;
  /** Empty for the root itself. */
  readonly name: string;
  readonly found: Inode | undefined;
}

/** What all processes on one disk share. */
export class DiskCore {
  readonly state: DiskState;
  readonly device: Device;
  readonly random: Random;
  capacityBytes: number;
  chooseFault: FaultChooser | undefined;
  /** Asked where {@link chooseFault} lets an operation succeed: what a scenario does by itself goes first. */
  injectFault: FaultChooser | undefined;
  /** Told of every change, after it was made. */
  recorder: ((change: DiskChange) => void) | undefined;
  /** Told of every operation that {@link chooseFault} lets succeed, before it is carried out. */
  watcher: ((operation: DiskOperation) => void) | undefined;
  operations = 0;
  lastFailed: DiskOperation | undefined;
  #off = false;
  #writes = 0;

  constructor(seed: number, capacityBytes: number, state: DiskState) {
    this.state = state;
    this.device = new Device(seedFrom(seed, 'device'));
    this.random = new Random(seedFrom(seed, 'disk'));
    this.capacityBytes = capacityBytes;
  }

  /** Whether the power is gone. */
  get off(): boolean {
    return this.#off;
  }

  /** The power goes: nothing more happens on this disk. */
  powerOff(): void {
    this.#off = true;
    this.device.powerOff();
  }

  change(change: DiskChange): void {
    this.state.apply(change);
    this.recorder?.(change);
  }

  /** A number for a write that takes its time. */
  nextWrite(): number {
    this.#writes += 1;
    return this.#writes;
  }

  /** Counts an operation, and says how it is to fail. */
  fault(kind: OperationKind, path: string): FaultKind | undefined {
    this.operations += 1;
    const operation: DiskOperation = { number: this.operations, kind, path };
    const chosen = this.chooseFault?.(operation);
    if (chosen === undefined) this.watcher?.(operation);
    const fault = chosen ?? this.injectFault?.(operation);
    if (fault !== undefined) this.lastFailed = operation;
    return fault;
  }

  /** @throws an error as `node:fs` throws it, when a part of the path is missing or no directory */
  place(names: readonly string[], kind: string, path: string): Place {
    let directory = this.state.root;
    for (const name of names.slice(0, -1)) {
      const next = directory.entries.get(name);
      if (next === undefined) throw diskError('ENOENT', kind, path);
      const inode = this.state.inode(next);
      if (inode.kind === 'file') throw diskError('ENOTDIR', kind, path);
      directory = inode;
    }
    const name = names.at(-1) ?? '';
    const id = name === '' ? directory.id : directory.entries.get(name);
    return { directory, name, found: id === undefined ? undefined : this.state.inode(id) };
  }

  /** Sectors that are still free. */
  get freeSectors(): number {
    if (this.capacityBytes === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    return Math.max(0, Math.floor((this.capacityBytes - this.state.usedBytes) / SECTOR_BYTES));
  }
}
