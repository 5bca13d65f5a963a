import { Random, seedFrom } from '../random.js';
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
import { SECTOR_BYTES } from './sector.js';

/** Decides whether an operation fails, and how. */
export type FaultChooser = (operation: DiskOperation) => FaultKind | undefined;

/** A resolved path: a directory, and a name that may be in it. */
export interface Place {
  readonly directory: DirectoryInode;
  /** Empty for the root itself. */
  readonly name: string;
  readonly found: Inode | undefined;
}

/** The cache evicts what a sync has dropped after at most so many operations. */
const EVICTED_AFTER = 40;

/** A temporary fault of the whole disk ends after at most so many operations. */
const PASSES_AFTER = 60;

/** The probability of a failure on a flaky disk. */
const FLAKY_CHANCE = 0.25;

/** The state of one disk that all processes share. */
export class DiskCore {
  readonly seed: number;
  readonly state: DiskState;
  readonly device: Device;
  readonly random: Random;
  capacityBytes: number;
  chooseFault: FaultChooser | undefined;
  /** Called where {@link chooseFault} lets an operation succeed: faults chosen by a scenario come first. */
  injectFault: FaultChooser | undefined;
  /** Called with every change, after it was made. */
  recorder: ((change: DiskChange) => void) | undefined;
  /** Called with every operation that {@link chooseFault} lets succeed, before it is carried out. */
  watcher: ((operation: DiskOperation) => void) | undefined;
  operations = 0;
  lastFailed: DiskOperation | undefined;
  #off = false;
  #writes = 0;
  /** The fault of the whole disk, and the operation at which it ends. */
  #lasting: { readonly kind: LastingFault; readonly upTo: number } | undefined;
  /** What the cache will evict, and before which operation. */
  #evictions: { readonly inode: number; readonly before: number }[] = [];

  constructor(seed: number, capacityBytes: number, state: DiskState) {
    this.seed = seed;
    this.state = state;
    this.device = new Device(seedFrom(seed, 'device'));
    this.random = new Random(seedFrom(seed, 'disk'));
    this.capacityBytes = capacityBytes;
  }

  /** Whether the power is off. */
  get off(): boolean {
    return this.#off;
  }

  /** The power fails: nothing more happens on this disk. */
  powerOff(): void {
    this.#off = true;
    this.device.powerOff();
  }

  change(change: DiskChange): void {
    this.state.apply(change);
    this.recorder?.(change);
  }

  /** A number for a write that takes time. */
  nextWrite(): number {
    this.#writes += 1;
    return this.#writes;
  }

  /** Counts an operation, and decides how it fails. */
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
    // A temporary fault does not replace a permanent one.
    if (isPassing(kind) && this.#lasting?.upTo === Number.POSITIVE_INFINITY) return;
    const upTo = isPassing(kind) ? this.operations + this.random.below(PASSES_AFTER + 1) : Number.POSITIVE_INFINITY;
    this.#lasting = { kind, upTo };
  }

  /** Makes the cache evict what a sync of a file has dropped: at once, or some operations later. */
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
