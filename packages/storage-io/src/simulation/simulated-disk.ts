import {
  checkInteger,
  checkOptions,
  checkPathText,
  invalidType,
  optionNames,
  outOfRange,
} from '@walstack/codec/internal';
import { namesOf } from '../errors/path-names.js';
import type { StorageIo } from '../storage-io.js';
import { DiskCore, type FaultChooser } from './disk/disk-core.js';
import { DiskState } from './disk/disk-state.js';
import { LockTable } from './disk/lock-table.js';
import { type DiskOperation, diskError } from './disk/operation.js';
import {
  counting,
  type SurvivorChooser,
  type Survivors,
  staleSeedOf,
  survivorsNamed,
  type UnsyncedCount,
} from './disk/survivors.js';
import type { Ask } from './disk/unsynced.js';
import { ProcessFiles } from './process-files.js';
import { seedFrom } from './random.js';
import {
  checkIoOptions,
  delayedStorageIo,
  inlineStorageIo,
  processSettings,
  type SimulatedIoOptions,
} from './simulated-io.js';

/** Options of {@link SimulatedDisk}. */
export interface SimulatedDiskOptions {
  /** Seed for latencies, the order of completions, short writes and the I/O of killed processes. Default 1. */
  readonly seed?: number;
  /** The capacity in bytes: 512 for every name, and the size of every file rounded up to 512. Default: no limit. */
  readonly capacityBytes?: number;
}

const KNOWN = optionNames<SimulatedDiskOptions>({ seed: true, capacityBytes: true });

/**
 * A disk in memory that loses, at a crash, what was not synced.
 *
 * It distinguishes what was written from what is durable, in sectors of 512 bytes, and operations on names from the
 * syncs of their directories. Backends on it are processes: {@link kill} ends them and leaves the disk and its cache
 * unchanged, {@link crash} is a power cut and leaves what was synced and a chosen part of the rest. All randomness
 * comes from one seed.
 *
 * What a crash leaves: any subset of the sectors that no sync has covered, of each any version that was written; of a
 * file's size each value since the last sync; any subset of the operations on names whose directory was not synced,
 * each whole or not at all. Where a file has grown and no write has reached the disk there are zeros, or with
 * `'stale:1'` earlier contents. A sector is never torn.
 */
export class SimulatedDisk {
  readonly #core: DiskCore;
  readonly #locks = new LockTable();
  readonly #processes = new Map<StorageIo, ProcessFiles>();

  /** @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for wrong options */
  constructor(options: SimulatedDiskOptions = {}) {
    // A crash and the explorer make disks that are not empty: they pass the core, which has both options as properties.
    this.#core = options instanceof DiskCore ? options : emptyDisk(options);
  }

  /** The number of operations so far, of all processes. */
  get operations(): number {
    return this.#core.operations;
  }

  /** The last operation that {@link failWhen} made fail. */
  get lastFailed(): DiskOperation | undefined {
    return this.#core.lastFailed;
  }

  /** Used space in bytes. */
  get usedBytes(): number {
    return this.#core.state.usedBytes;
  }

  /** The capacity in bytes. A disk is full when its used space is not below its capacity. */
  get capacityBytes(): number {
    return this.#core.capacityBytes;
  }

  set capacityBytes(bytes: number) {
    this.#core.capacityBytes = checkCapacity(bytes);
  }

  /**
   * Makes a backend: a process of its own on this disk, with its own locks.
   *
   * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`) for wrong options
   */
  createStorageIo(options: SimulatedIoOptions = {}): StorageIo {
    const settings = checkIoOptions(options);
    const files = new ProcessFiles(this.#core, this.#locks, processSettings(settings));
    const forBackend = options.maxPending === undefined ? {} : { maxPending: options.maxPending };
    const io = settings.completesInline
      ? inlineStorageIo(files, settings, forBackend)
      : delayedStorageIo(files, this.#core.device, this.#core.random, settings, forBackend);
    this.#processes.set(io, files);
    return io;
  }

  /**
   * Kills a process, or all of them: their locks are free, every call of their backends is `WAL_CLOSED`, and no
   * completion arrives any more. Writes in flight reach the disk later or never; other operations in flight change
   * nothing. The cache stays unchanged.
   *
   * @param io - the backend of the process; without it, all processes
   */
  kill(io?: StorageIo): void {
    if (io !== undefined && !this.#processes.has(io)) {
      throw invalidType('io', 'a backend that this disk has made and not killed', io);
    }
    for (const [backend, files] of this.#processes) {
      if (io !== undefined && backend !== io) continue;
      files.kill();
      this.#processes.delete(backend);
    }
  }

  /**
   * Cuts the power, and returns the disk as it is afterwards. This object does not change any more; another call
   * returns another disk that the same power cut could have left.
   *
   * @param survivors - which of the unsynced items survive. Default `'none'`.
   */
  crash(survivors: Survivors | SurvivorChooser = 'none'): SimulatedDisk {
    const core = this.#core;
    const ask = typeof survivors === 'function' ? this.#asking(survivors) : survivorsNamed(survivors);
    const stale = typeof survivors === 'function' ? undefined : staleSeedOf(survivors);
    this.kill();
    core.powerOff();
    const seed = seedFrom(core.seed, 'after a crash');
    return new SimulatedDisk(new DiskCore(seed, core.capacityBytes, core.state.crashed(ask, stale)));
  }

  /** The number of unsynced items, each of which a crash may keep or lose. */
  unsynced(): Readonly<UnsyncedCount> {
    const count = { metadata: 0, sectors: 0 };
    this.#core.state.crashed(counting(count));
    return Object.freeze(count);
  }

  /**
   * Makes operations fail. `choose` is called for each one when it is submitted; with `undefined` everything succeeds
   * again.
   *
   * @param choose - returns how the operation fails, or `undefined` when it does not
   */
  failWhen(choose: FaultChooser | undefined): void {
    if (choose !== undefined && typeof choose !== 'function') throw invalidType('choose', 'a function', choose);
    this.#core.chooseFault = choose;
  }

  /**
   * Damages a byte: inverts bits of it in the cache and on the disk.
   *
   * @param offset - of the byte, less than the file's size
   * @param mask - the bits, 1 to 255. Default 1.
   * @throws an error as `node:fs` throws it when there is no such file
   */
  rot(path: string, offset: number, mask = 1): void {
    const { found } = this.#core.place(namesOf(checkPathText('path', path)), 'rot', path);
    if (found === undefined) throw diskError('ENOENT', 'rot', path);
    if (found.kind === 'directory') throw diskError('EISDIR', 'rot', path);
    checkInteger('offset', offset, 0, found.size - 1);
    checkInteger('mask', mask, 1, 0xff);
    this.#core.change({ kind: 'rot', inode: found.id, offset, mask });
  }

  #asking(choose: SurvivorChooser): Ask {
    const { state } = this.#core;
    return ({ kind, inode, offset }) => choose({ kind, path: state.pathOf(inode), offset });
  }
}

function emptyDisk(options: SimulatedDiskOptions): DiskCore {
  const { seed = 1, capacityBytes = Number.POSITIVE_INFINITY } = checkOptions('options', options, KNOWN);
  return new DiskCore(checkInteger('seed', seed, 0), checkCapacity(capacityBytes), new DiskState());
}

function checkCapacity(bytes: unknown): number {
  if (typeof bytes !== 'number') throw invalidType('capacityBytes', 'a number', bytes);
  if (!(bytes >= 0)) throw outOfRange('capacityBytes', 'a number of at least 0', bytes);
  return bytes;
}
