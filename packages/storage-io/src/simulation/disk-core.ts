import { Device } from './device.js';
import type { DirectoryInode } from './directory-inode.js';
import type { DiskChange } from './disk-change.js';
import type { DiskState, Inode } from './disk-state.js';
import {
  canFail,
  type DiskOperation,
  diskError,
  type FaultKind,
  isLasting,
  isPassing,
  type LastingFault,
  type OperationKind,
  singleFault,
} from './operation.js';
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

/** The cache gives up what a sync has dropped at most so many operations later. */
const EVICTED_AFTER = 40;

/** A fault of the whole disk that ends by itself does so at most so many operations later. */
const PASSES_AFTER = 60;

/** How often an operation fails on a disk that fails now and then. */
const FLAKY_CHANCE = 0.25;

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
  /** What is the matter with the whole disk, up to which operation. */
  #lasting: { readonly kind: LastingFault; readonly upTo: number } | undefined;
  /** What the cache is going to give up, and before which operation. */
  #evictions: { readonly inode: number; readonly before: number }[] = [];

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
    this.#evictDue();
    const operation: DiskOperation = { number: this.operations, kind, path };
    const chosen = this.chooseFault?.(operation);
    if (chosen === undefined) this.watcher?.(operation);
    const begun = chosen ?? this.injectFault?.(operation);
    if (begun !== undefined && isLasting(begun)) this.#begin(begun);
    const fault = begun === undefined ? this.#lastingFor(kind) : singleFault(begun, kind);
    if (fault !== undefined) this.lastFailed = operation;
    return fault;
  }

  #begin(kind: LastingFault): void {
    // What lasts until the power goes is not ended by what passes.
    if (isPassing(kind) && this.#lasting?.upTo === Number.POSITIVE_INFINITY) return;
    const upTo = isPassing(kind) ? this.operations + this.random.below(PASSES_AFTER + 1) : Number.POSITIVE_INFINITY;
    this.#lasting = { kind, upTo };
  }

  /** Has the cache give up what a sync of a file has dropped: at once, or some operations later. */
  evict(inode: number, when: 'now' | 'later'): void {
    const wait = when === 'now' ? 0 : 1 + this.random.below(EVICTED_AFTER);
    this.#evictions.push({ inode, before: this.operations + wait });
    if (wait === 0) this.#evictDue();
  }

  #evictDue(): void {
    if (this.#evictions.length === 0) return;
    const due = this.#evictions.filter(({ before }) => before <= this.operations);
    this.#evictions = this.#evictions.filter(({ before }) => before > this.operations);
    for (const { inode } of due) this.change({ kind: 'evict', inode, seed: this.random.below(1_000_000) });
  }

  #lastingFor(operation: OperationKind): FaultKind | undefined {
    if (this.#lasting === undefined || this.operations > this.#lasting.upTo) return undefined;
    const { kind } = this.#lasting;
    const meets = kind === 'broken' || (kind === 'flaky' ? this.random.chance(FLAKY_CHANCE) : canFail(operation, kind));
    return meets ? singleFault(kind, operation) : undefined;
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
