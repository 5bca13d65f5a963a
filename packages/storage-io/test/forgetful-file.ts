import { fromSyncFileOps, type StorageIo, type SyncFileOps } from '@walstack/storage-io';

/** What a disk writes whole or not at all, in bytes. */
const SECTOR = 512;

/** Whether the next piece that is in doubt survives. */
export type Survives = () => boolean;

/** One open file; it is always the same one. */
type Handle = object;

/**
 * A disk with one file, `d/file`, that loses at a power cut what was not synced, sector by sector, and where a sync that
 * failed has given up on what it could not write.
 */
export class ForgetfulFile {
  /** Operations that change something, so far. */
  operations = 0;
  /** The power goes during this operation: what it did is in doubt, and it is never answered. */
  cutAt = Number.POSITIVE_INFINITY;
  /** This operation fails with this code, half done. */
  failAt = Number.POSITIVE_INFINITY;
  failWith = 'EIO';
  /** Before this read the system drops from memory what it could not write. */
  evictAtRead = Number.POSITIVE_INFINITY;
  /** Reads, so far. */
  reads = 0;
  /** There is not a free block: nothing grows. */
  full = false;
  #live: Uint8Array;
  #durable: Uint8Array;
  /** Sectors that were written and not yet synced. */
  readonly #dirty = new Set<number>();
  #named: boolean;
  #nameDurable: boolean;
  #off = false;

  constructor(bytes?: Uint8Array) {
    this.#live = bytes?.slice() ?? new Uint8Array(0);
    this.#durable = this.#live.slice();
    this.#named = bytes !== undefined;
    this.#nameDurable = this.#named;
  }

  /** Whether the power is gone. */
  get off(): boolean {
    return this.#off;
  }

  /** What is read from the file while the power is on. */
  get bytes(): Uint8Array {
    return this.#live.slice();
  }

  /** The disk as it is found after a power cut. */
  afterPowerCut(survives: Survives): ForgetfulFile {
    if (!this.#nameDurable && !(this.#named && survives())) return new ForgetfulFile();
    const bytes = new Uint8Array(survives() ? this.#live.length : this.#durable.length);
    bytes.set(this.#durable.subarray(0, bytes.length));
    for (const sector of [...this.#dirty].sort((a, b) => a - b)) {
      const start = sector * SECTOR;
      if (start < bytes.length && survives()) {
        bytes.fill(0, start, start + SECTOR);
        bytes.set(this.#live.subarray(start, Math.min(start + SECTOR, bytes.length)), start);
      }
    }
    return new ForgetfulFile(bytes);
  }

  /** A backend on this disk; `direct`: with direct I/O and durable writes. */
  io(direct = false): StorageIo {
    const write = (data: Uint8Array, offset: number): number => {
      if (this.full && offset + data.length > this.#live.length) throw coded('ENOSPC');
      this.#change(() => this.#write(data, offset));
      return data.length;
    };
    const ops: SyncFileOps<Handle> = {
      name: 'forgetful',
      realFiles: false,
      open: (_, { create }) => {
        if (!this.#named && !create) throw coded('ENOENT');
        this.#named = true;
        return {};
      },
      close: () => {},
      size: () => this.#live.length,
      list: () => (this.#named ? ['file'] : []),
      rename: () => {},
      makeDirectory: () => {},
      stat: () => ({ kind: 'file', size: this.#live.length }),
      lock: () => () => {},
      read: (_, into, offset) => {
        this.reads++;
        if (this.reads === this.evictAtRead) this.#evict();
        const found = this.#live.subarray(offset, offset + into.length);
        into.set(found);
        return found.length;
      },
      write: (_, data, offset) => write(data, offset),
      datasync: () => {
        try {
          this.#change(() => {});
        } catch (error) {
          // The kernel has given up on these pages: they are read as written until the power goes.
          if (!this.#off) this.#dirty.clear();
          throw error;
        }
        this.#makeDurable([...this.#dirty]);
      },
      truncate: (_, bytes) => this.#change(() => this.#truncate(bytes)),
      remove: () => {},
      syncDirectory: () => {
        this.#change(() => {});
        this.#nameDurable = this.#named;
      },
    };
    // Thousands of these are made: they are small.
    if (!direct) return fromSyncFileOps(ops, { maxPending: 4 });
    return fromSyncFileOps(
      {
        ...ops,
        directAlignment: () => SECTOR,
        allocateBuffer: (bytes) => new Uint8Array(bytes),
        writeDurable: (_, data, offset) => {
          write(data, offset);
          this.#makeDurable(sectorsOf(offset, offset + data.length));
          return data.length;
        },
      },
      { maxPending: 4 },
    );
  }

  #change(work: () => void): void {
    if (this.#off) throw coded('EIO');
    this.operations++;
    work();
    if (this.operations === this.cutAt) this.#off = true;
    if (this.#off || this.operations === this.failAt) throw coded(this.#off ? 'EIO' : this.failWith);
  }

  #write(data: Uint8Array, offset: number): void {
    const half = this.operations === this.failAt ? data.subarray(0, data.length >> 1) : data;
    if (offset + half.length > this.#live.length) this.#live = resized(this.#live, offset + half.length);
    this.#live.set(half, offset);
    for (const sector of sectorsOf(offset, offset + half.length)) this.#dirty.add(sector);
  }

  #truncate(bytes: number): void {
    const from = Math.min(bytes, this.#live.length);
    for (const sector of sectorsOf(from, Math.max(bytes, this.#live.length))) this.#dirty.add(sector);
    this.#live = resized(this.#live, bytes);
  }

  /** From now on what is not to be written any more is read as the disk has it. */
  #evict(): void {
    const clean = sectorsOf(0, this.#live.length).filter((sector) => !this.#dirty.has(sector));
    const held = resized(this.#durable, this.#live.length);
    for (const sector of clean) this.#live.set(held.subarray(sector * SECTOR, (sector + 1) * SECTOR), sector * SECTOR);
  }

  #makeDurable(sectors: readonly number[]): void {
    if (this.#durable.length !== this.#live.length) this.#durable = resized(this.#durable, this.#live.length);
    for (const sector of sectors) {
      const start = sector * SECTOR;
      this.#durable.set(this.#live.subarray(start, start + SECTOR), Math.min(start, this.#durable.length));
      this.#dirty.delete(sector);
    }
  }
}

function sectorsOf(start: number, end: number): number[] {
  const sectors: number[] = [];
  for (let sector = Math.floor(start / SECTOR); sector * SECTOR < end; sector++) sectors.push(sector);
  return sectors;
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const copy = new Uint8Array(length);
  copy.set(bytes.subarray(0, length));
  return copy;
}

const coded = (code: string): Error => Object.assign(new Error(code), { code });

/** Random survivors that a seed repeats. */
export function survivors(seed: number): Survives {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (state >>> 16) % 2 === 0;
  };
}
