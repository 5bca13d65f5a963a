import { Random } from '../random.js';
import { cutOff, overwritten, SECTOR_BYTES, Sector } from './sector.js';
import type { Ask } from './unsynced.js';

/** A version of a sector that no sync has covered. */
interface Version {
  /** Number of the change that made it. */
  readonly change: number;
  readonly sector: Sector | undefined;
  /** It was made by truncating the file, so it survives exactly when the cut does. */
  readonly byCut: boolean;
  /** A sync of it failed: it may have reached the disk, and no later sync writes it. */
  dropped: boolean;
}

/** A sector that is not yet durable. */
interface UnsyncedSector {
  /** The durable content, which a crash leaves when nothing newer survives. */
  durable: Sector | undefined;
  /** In the order in which they were made. */
  versions: Version[];
}

interface UnsyncedSize {
  readonly change: number;
  readonly bytes: number;
  /** The file was extended by a write; a sync that fails drops the size together with the bytes. */
  readonly byWrite: boolean;
  /** The file had this size before: it has to be made durable again, because it was dropped. */
  readonly again: boolean;
  dropped: boolean;
}

/** Makes the content that an earlier file has left in a sector of the disk. */
export type StaleSector = (inode: number) => Sector;

/** A write in flight: at a crash, any of its sectors may have reached the disk. */
export interface FlyingWrite {
  readonly data: Uint8Array;
  readonly offset: number;
}

/** A file: its current content, and what of it a crash may leave. */
export class FileInode {
  readonly kind = 'file';
  readonly id: number;
  /** The permissions. */
  readonly mode: number;
  #size = 0;
  #durableSize = 0;
  /** Sizes since the durable one. */
  #sizes: UnsyncedSize[] = [];
  /** The current content; missing sectors are zeros. */
  #sectors: (Sector | undefined)[] = [];
  readonly #unsynced = new Map<number, UnsyncedSector>();
  readonly #flying = new Map<number, FlyingWrite>();

  constructor(id: number, mode: number) {
    this.id = id;
    this.mode = mode;
  }

  /** In bytes. */
  get size(): number {
    return this.#size;
  }

  /** The number of sectors of the file, zeros included. */
  get sectorCount(): number {
    return Math.ceil(this.#size / SECTOR_BYTES);
  }

  /** The current content of a sector. */
  sector(index: number): Sector | undefined {
    return this.#sectors[index];
  }

  /** Reads the available bytes, and returns how many there were. */
  read(into: Uint8Array, offset: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - offset));
    for (let done = 0; done < count; ) {
      const from = (offset + done) % SECTOR_BYTES;
      const length = Math.min(SECTOR_BYTES - from, count - done);
      const sector = this.#sectors[Math.floor((offset + done) / SECTOR_BYTES)];
      if (sector === undefined) into.fill(0, done, done + length);
      else sector.copyInto(into, done, from, length);
      done += length;
    }
    return count;
  }

  /** Records a write that has begun. */
  begin(write: number, data: Uint8Array, offset: number): void {
    this.#flying.set(write, { data, offset });
  }

  /** Removes a write that was begun: it has ended, or never will. */
  end(write: number): void {
    this.#flying.delete(write);
  }

  /** Writes into the cache: readable from now on, and not durable. */
  write(data: Uint8Array, offset: number, change: number): void {
    if (data.length === 0) return;
    const end = offset + data.length;
    if (end > this.#size) this.#setSize(end, change, true);
    else if (end > this.#syncableSize) {
      this.#sizes.push({ change, bytes: end, byWrite: true, again: true, dropped: false });
    }
    forEachSector(data, offset, (index, part, at) => {
      this.#renew(index, { change, sector: written(this.#sectors[index], part, at), byCut: false, dropped: false });
    });
  }

  /** Makes the sectors of one write durable as they are now, and the size as far as the write needs it. */
  makeDurable(offset: number, length: number): void {
    if (length === 0) return;
    const last = Math.floor((offset + length - 1) / SECTOR_BYTES);
    let sizesUpTo = this.#sizeNeededFor(offset + length);
    for (let index = Math.floor(offset / SECTOR_BYTES); index <= last; index++) {
      const unsynced = this.#unsynced.get(index);
      for (const { byCut, change } of unsynced?.versions ?? []) if (byCut) sizesUpTo = Math.max(sizesUpTo, change);
      this.#unsynced.delete(index);
    }
    this.#syncSizes(sizesUpTo);
    this.#syncCuts(sizesUpTo);
  }

  /** Truncates the file or extends it with zeros. Not durable. */
  resize(bytes: number, change: number): void {
    if (bytes === this.#size) return;
    const before = this.#sectors.length;
    const keptWhole = Math.floor(bytes / SECTOR_BYTES);
    const rest = bytes % SECTOR_BYTES;
    if (bytes < this.#size) {
      for (let index = keptWhole; index < before; index++) {
        const sector = cutOff(this.#sectors[index], index === keptWhole ? rest : 0);
        this.#renew(index, { change, sector, byCut: true, dropped: false });
      }
      this.#sectors.length = Math.min(before, keptWhole + (rest > 0 ? 1 : 0));
    }
    this.#setSize(bytes, change, false);
  }

  /** Makes durable what was written up to a change, and the size. What an earlier sync has dropped stays dropped. */
  sync(upTo: number): void {
    for (const [index, unsynced] of this.#unsynced) {
      const { versions } = unsynced;
      let covered = versions.length - 1;
      while (covered >= 0 && ((versions[covered] as Version).change > upTo || (versions[covered] as Version).dropped)) {
        covered--;
      }
      if (covered < 0) continue;
      unsynced.durable = (versions[covered] as Version).sector;
      if (covered === versions.length - 1) this.#unsynced.delete(index);
      else versions.splice(0, covered + 1);
    }
    this.#syncSizes(upTo);
  }

  /** A sync has failed: what it should have covered is read as before, but no later sync writes it, or the size it led to. */
  drop(from: number, upTo: number): void {
    for (const size of this.#sizes) {
      if (size.change >= from && size.change <= upTo && size.byWrite) size.dropped = true;
    }
    for (const { versions } of this.#unsynced.values()) {
      for (const version of versions) {
        if (version.change >= from && version.change <= upTo && !version.byCut) version.dropped = true;
      }
    }
  }

  /** The cache evicts the sectors that were dropped: they get the content that is on the disk, which some had reached. */
  evict(seed: number): void {
    const random = new Random(seed);
    for (const [index, { durable, versions }] of this.#unsynced) {
      if (!versions.every(({ dropped }) => dropped)) continue;
      this.#sectors[index] = random.chance(0.3) ? versions.at(-1)?.sector : durable;
      this.#unsynced.delete(index);
    }
  }

  /** Inverts bits of a byte, wherever it is stored. */
  rot(offset: number, mask: number): void {
    const index = Math.floor(offset / SECTOR_BYTES);
    const at = offset % SECTOR_BYTES;
    const rotten = (sector: Sector | undefined): Sector => {
      const byte = new Uint8Array(1);
      sector?.copyInto(byte, 0, at, 1);
      byte[0] = (byte[0] as number) ^ mask;
      return overwritten(sector, byte, at);
    };
    this.#sectors[index] = rotten(this.#sectors[index]);
    const unsynced = this.#unsynced.get(index);
    if (unsynced === undefined) return;
    unsynced.durable = rotten(unsynced.durable);
    unsynced.versions = unsynced.versions.map((version) => ({ ...version, sector: rotten(version.sector) }));
  }

  /**
   * The file as a crash leaves it.
   *
   * @param stale - the content of a new sector that no write has reached; zeros without it
   */
  crashed(ask: Ask, stale?: StaleSector): FileInode {
    const after = new FileInode(this.id, this.mode);
    after.#sectors = this.#sectors.slice();
    const sizeChange = this.#survivingSize(after, ask);
    for (const [index, unsynced] of this.#unsynced) {
      after.#sectors[index] = this.#survivingVersion(index, unsynced, sizeChange, ask);
    }
    const landed = new Set<number>();
    for (const write of this.#flying.values()) this.#land(write, after, landed, ask);
    if (stale !== undefined) this.#fillWithStale(after, stale);
    after.#trim();
    after.#durableSize = after.#size;
    return after;
  }

  /** Only where the file has grown: existing sectors are overwritten in place. */
  #fillWithStale(after: FileInode, stale: StaleSector): void {
    const given = new Set(this.#unsynced.keys());
    for (const { data, offset } of this.#flying.values()) forEachSector(data, offset, (index) => given.add(index));
    for (const index of given) {
      if (index * SECTOR_BYTES < this.#durableSize || after.#sectors[index] !== undefined) continue;
      after.#sectors[index] = stale(this.id);
    }
  }

  /** Chooses the size that survives, and returns the change that made it. Sizes before it survive with it. */
  #survivingSize(after: FileInode, ask: Ask): number {
    after.#size = this.#durableSize;
    let change = 0;
    let bytes = this.#durableSize;
    // The dropped sizes that had reached the disk: they stay when a part of them is made durable again.
    let reached = 0;
    for (const size of this.#sizes) {
      if (!size.dropped) bytes = size.again ? Math.max(bytes, size.bytes) : size.bytes;
      if (!size.dropped && !size.again) reached = 0;
      if (!ask({ kind: 'size', inode: this.id, offset: size.bytes })) continue;
      if (size.dropped) reached = size.bytes;
      after.#size = size.dropped ? size.bytes : Math.max(bytes, reached);
      change = size.change;
    }
    return change;
  }

  /**
   * If a cut has survived, nothing after its size from before it survives; if it has not, nothing written after it
   * survives: those writes went to blocks that the file does not have.
   */
  #survivingVersion(index: number, unsynced: UnsyncedSector, sizeChange: number, ask: Ask): Sector | undefined {
    let survivor = unsynced.durable;
    let cutLost = false;
    for (const version of unsynced.versions) {
      if (version.byCut) {
        cutLost ||= version.change > sizeChange;
        if (!cutLost) survivor = version.sector;
      } else if (ask({ kind: 'sector', inode: this.id, offset: index * SECTOR_BYTES }) && !cutLost) {
        survivor = version.sector;
      }
    }
    return survivor;
  }

  #land({ data, offset }: FlyingWrite, after: FileInode, landed: Set<number>, ask: Ask): void {
    const end = offset + data.length;
    if (end > after.#size && ask({ kind: 'size', inode: this.id, offset: end })) after.#size = end;
    forEachSector(data, offset, (index, part, at) => {
      if (!ask({ kind: 'sector', inode: this.id, offset: index * SECTOR_BYTES })) return;
      // The other bytes of these sectors in the cache are written together with those of the write.
      const cached = landed.has(index) ? after.#sectors[index] : this.#sectors[index];
      after.#sectors[index] = written(cached, part, at);
      landed.add(index);
    });
  }

  /** Drops what is after the end, so that it does not reappear when the file grows again. */
  #trim(): void {
    const whole = Math.floor(this.#size / SECTOR_BYTES);
    const rest = this.#size % SECTOR_BYTES;
    const last = this.#sectors[whole];
    if (this.#sectors.length > whole) this.#sectors.length = whole;
    if (rest > 0 && last !== undefined) this.#sectors[whole] = cutOff(last, rest);
  }

  /** The size that a sync would make durable, without what an earlier sync has dropped. */
  get #syncableSize(): number {
    return this.#sizes.findLast(({ dropped }) => !dropped)?.bytes ?? this.#durableSize;
  }

  /** The change of size without which the file would end before `end` after a crash; 0 for none. */
  #sizeNeededFor(end: number): number {
    const short = this.#sizes.findLastIndex(({ bytes, dropped }) => !dropped && bytes < end);
    if (short === -1 && this.#durableSize >= end) return 0;
    return this.#sizes.slice(short + 1).find(({ dropped }) => !dropped)?.change ?? 0;
  }

  #setSize(bytes: number, change: number, byWrite: boolean): void {
    this.#size = bytes;
    this.#sizes.push({ change, bytes, byWrite, again: false, dropped: false });
  }

  #syncSizes(upTo: number): void {
    const covered = this.#sizes.findLastIndex(({ change, dropped }) => change <= upTo && !dropped) + 1;
    // Sectors of a longer file that may have reached the disk, although only a part was made durable again.
    let reached: UnsyncedSize[] = [];
    for (const size of this.#sizes.splice(0, covered)) {
      if (size.dropped) {
        reached.push(size);
        continue;
      }
      if (!size.again) reached = [];
      this.#durableSize = size.again ? Math.max(this.#durableSize, size.bytes) : size.bytes;
    }
    this.#sizes.unshift(...reached.filter(({ bytes }) => bytes > this.#durableSize));
  }

  /** The cut is durable: everything after it is gone, durable sectors included. */
  #syncCuts(upTo: number): void {
    for (const [index, unsynced] of this.#unsynced) {
      const { versions } = unsynced;
      const cut = versions.findLastIndex(({ byCut, change }) => byCut && change <= upTo);
      if (cut === -1) continue;
      unsynced.durable = (versions[cut] as Version).sector;
      if (cut === versions.length - 1) this.#unsynced.delete(index);
      else versions.splice(0, cut + 1);
    }
  }

  /** Sets a new content of a sector, which is not durable. */
  #renew(index: number, version: Version): void {
    const unsynced = this.#unsynced.get(index);
    if (unsynced === undefined) this.#unsynced.set(index, { durable: this.#sectors[index], versions: [version] });
    else unsynced.versions.push(version);
    this.#sectors[index] = version.sector;
  }
}

/** A sector with a part of it overwritten. A whole sector is used without copying. */
function written(before: Sector | undefined, part: Uint8Array, at: number): Sector {
  return part.length === SECTOR_BYTES ? new Sector(part, 0) : overwritten(before, part, at);
}

function forEachSector(
  data: Uint8Array,
  offset: number,
  visit: (index: number, part: Uint8Array, at: number) => void,
): void {
  for (let done = 0; done < data.length; ) {
    const at = (offset + done) % SECTOR_BYTES;
    const length = Math.min(SECTOR_BYTES - at, data.length - done);
    visit(Math.floor((offset + done) / SECTOR_BYTES), data.subarray(done, done + length), at);
    done += length;
  }
}
