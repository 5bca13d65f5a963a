import { Random, seedFrom } from '../random.js';
import { DirectoryInode } from './directory-inode.js';
import type { DiskChange } from './disk-change.js';
import { FileInode, type StaleSector } from './file-inode.js';
import { SECTOR_BYTES, Sector, sumOf } from './sector.js';
import type { Ask } from './unsynced.js';

export type Inode = FileInode | DirectoryInode;

const ROOT = 1;

/** A change of one name: it is assigned to an inode, or removed. */
interface NameChange {
  readonly directory: number;
  readonly name: string;
  readonly inode: number;
  readonly taken: boolean;
}

/** An operation on names that no sync has covered: all of its changes survive a crash, or none. */
interface UnsyncedNames {
  readonly change: number;
  readonly changes: readonly NameChange[];
  readonly links: readonly LinkChange[];
}

/** What an operation adds to the link count of an inode. */
interface LinkChange {
  readonly inode: number;
  readonly added: 1 | -1;
}

/**
 * A disk with its cache: what is read, what of it is durable, and what a crash may leave. It knows neither processes
 * nor open files, and only {@link DiskState.apply} changes it.
 */
export class DiskState {
  readonly #inodes = new Map<number, Inode>([[ROOT, new DirectoryInode(ROOT, 0o755)]]);
  #names: UnsyncedNames[] = [];
  /** By inode. After a crash between two renames a file may have more names than this: file systems keep the count beside the names. */
  readonly #links = new Map<number, number>();
  readonly #durableLinks = new Map<number, number>();
  #changes = 0;
  #lastInode = ROOT;

  /** Number of the last change. */
  get changes(): number {
    return this.#changes;
  }

  get root(): DirectoryInode {
    return this.directory(ROOT);
  }

  /** The number of the next inode. */
  get nextInode(): number {
    return this.#lastInode + 1;
  }

  inode(id: number): Inode {
    const inode = this.#inodes.get(id);
    if (inode === undefined) throw new Error(`a simulated disk has no inode ${id}: its journal is of another disk`);
    return inode;
  }

  file(id: number): FileInode {
    const inode = this.inode(id);
    if (inode.kind !== 'file') throw new Error(`inode ${id} of a simulated disk is no file`);
    return inode;
  }

  directory(id: number): DirectoryInode {
    const inode = this.inode(id);
    if (inode.kind !== 'directory') throw new Error(`inode ${id} of a simulated disk is no directory`);
    return inode;
  }

  /** Used space: the sectors of every file that has a name, and one for every name. */
  get usedBytes(): number {
    let sectors = 0;
    const counted = new Set<Inode>();
    this.#walk(ROOT, '', (inode) => {
      sectors += inode.kind === 'file' && !counted.has(inode) ? 1 + inode.sectorCount : 1;
      counted.add(inode);
    });
    return (sectors - 1) * SECTOR_BYTES;
  }

  /** The link count of a file. */
  linksOf(id: number): number {
    return this.#links.get(id) ?? 0;
  }

  /** A current path of an inode; `undefined` when it has none. */
  pathOf(id: number): string | undefined {
    let found: string | undefined;
    this.#walk(ROOT, '', (inode, path) => {
      if (inode.id === id) found ??= path === '' ? '/' : path;
    });
    return found;
  }

  apply(change: DiskChange): void {
    this.#changes += 1;
    const number = this.#changes;
    switch (change.kind) {
      case 'write-begun':
        this.file(change.inode).begin(change.write, change.data, change.offset);
        return;
      case 'write': {
        const file = this.file(change.inode);
        if (change.write !== undefined) file.end(change.write);
        file.write(change.data, change.offset, number);
        if (change.durable) file.makeDurable(change.offset, change.data.length);
        return;
      }
      case 'write-lost':
        this.file(change.inode).end(change.write);
        return;
      case 'resize':
        this.file(change.inode).resize(change.bytes, number);
        return;
      case 'sync':
        this.file(change.inode).sync(change.upTo);
        return;
      case 'sync-failed':
        this.file(change.inode).drop(change.from, change.upTo);
        return;
      case 'evict':
        this.file(change.inode).evict(change.seed);
        return;
      case 'rot':
        this.file(change.inode).rot(change.offset, change.mask);
        return;
      case 'sync-directory':
        this.#syncDirectory(change.directory, change.upTo);
        return;
      default:
        this.#applyNames(change, number);
    }
  }

  /**
   * The disk after a crash: everything else in the cache is lost.
   *
   * @param staleSeed - a file that has grown may contain earlier contents of its sectors, chosen by this seed; without
   * it, zeros.
   */
  crashed(ask: Ask, staleSeed?: number): DiskState {
    const after = new DiskState();
    const stale = staleSeed === undefined ? undefined : this.#staleSectors(new Random(staleSeed));
    const { names, links } = this.#survivingNames(ask);
    for (const [id, count] of links) {
      after.#links.set(id, count);
      after.#durableLinks.set(id, count);
    }
    const keep = (id: number): void => {
      if (id !== ROOT && after.#inodes.has(id)) return;
      const inode = this.inode(id);
      after.#lastInode = Math.max(after.#lastInode, id);
      if (inode.kind === 'file') {
        after.#inodes.set(id, inode.crashed(ask, stale));
        return;
      }
      const directory = new DirectoryInode(id, inode.mode);
      after.#inodes.set(id, directory);
      for (const [name, child] of names.get(id) ?? []) {
        directory.entries.set(name, child);
        directory.durable.set(name, child);
        keep(child);
      }
    };
    keep(ROOT);
    return after;
  }

  /** A checksum of what is read from the disk. */
  get sum(): number {
    let high = 0;
    let low = 0;
    this.#walk(ROOT, '', (inode, path) => {
      const name = seedFrom(path, inode.kind === 'file' ? inode.size : -1);
      high = (Math.imul(high, 31) + name) >>> 0;
      low = (Math.imul(low, 37) ^ name) >>> 0;
      if (inode.kind !== 'file') return;
      for (let index = 0; index < inode.sectorCount; index++) {
        const sum = sumOf(inode.sector(index));
        high = (Math.imul(high, 0x0100_0193) + sum) >>> 0;
        low = (Math.imul(low ^ sum, 0x85eb_ca6b) + index) >>> 0;
      }
    });
    return (high & 0x1f_ffff) * 0x1_0000_0000 + low;
  }

  /** Sectors of other files, removed ones included, and arbitrary bytes. */
  #staleSectors(random: Random): StaleSector {
    const files = [...this.#inodes.values()].filter((inode) => inode.kind === 'file' && inode.sectorCount > 0);
    return (id) => {
      const other = files[random.below(files.length)];
      const found =
        other?.kind === 'file' && other.id !== id ? other.sector(random.below(other.sectorCount)) : undefined;
      return (
        found ??
        new Sector(
          Uint8Array.from({ length: SECTOR_BYTES }, () => random.below(256)),
          0,
        )
      );
    };
  }

  #applyNames(
    change: Extract<DiskChange, { kind: 'create' | 'make-directory' | 'rename' | 'link' | 'remove' }>,
    number: number,
  ): void {
    const { directory, name } = change;
    const changes: NameChange[] = [];
    const links: LinkChange[] = [];
    if ('toName' in change) {
      const inode = this.#named(directory, name);
      const replaced = this.directory(change.toDirectory).entries.get(change.toName);
      if (replaced !== undefined) links.push({ inode: replaced, added: -1 });
      if (change.kind === 'rename') changes.push({ directory, name, inode, taken: true });
      else links.push({ inode, added: 1 });
      changes.push({ directory: change.toDirectory, name: change.toName, inode, taken: false });
    } else if (change.kind === 'remove') {
      const inode = this.#named(directory, name);
      changes.push({ directory, name, inode, taken: true });
      links.push({ inode, added: -1 });
    } else {
      const { inode, mode } = change;
      this.#lastInode = Math.max(this.#lastInode, inode);
      this.#inodes.set(inode, change.kind === 'create' ? new FileInode(inode, mode) : new DirectoryInode(inode, mode));
      changes.push({ directory, name, inode, taken: false });
      links.push({ inode, added: 1 });
    }
    for (const each of changes) setName(this.directory(each.directory).entries, each);
    for (const each of links) countLink(this.#links, each);
    this.#names.push({ change: number, changes, links });
  }

  /** Makes the operations in a directory durable, and before them the operations on the same names elsewhere. */
  #syncDirectory(id: number, upTo: number): void {
    const covered = new Set<UnsyncedNames>();
    const names = new Set<string>();
    const key = ({ directory, name }: NameChange): string => `${directory}/${name}`;
    for (const operation of [...this.#names].reverse()) {
      const { change, changes } = operation;
      if (change > upTo) continue;
      if (!changes.some((each) => each.directory === id || names.has(key(each)))) continue;
      covered.add(operation);
      for (const each of changes) names.add(key(each));
    }
    for (const { changes, links } of this.#names.filter((operation) => covered.has(operation))) {
      for (const each of changes) setName(this.directory(each.directory).durable, each);
      for (const each of links) countLink(this.#durableLinks, each);
    }
    this.#names = this.#names.filter((operation) => !covered.has(operation));
  }

  /** By directory, the names in it; by inode, its link count. */
  #survivingNames(ask: Ask): {
    names: ReadonlyMap<number, ReadonlyMap<string, number>>;
    links: ReadonlyMap<number, number>;
  } {
    const counts = new Map(this.#durableLinks);
    const names = new Map<number, Map<string, number>>();
    const of = (directory: number): Map<string, number> => {
      const known = names.get(directory) ?? new Map(this.directory(directory).durable);
      names.set(directory, known);
      return known;
    };
    for (const inode of this.#inodes.values()) if (inode.kind === 'directory') of(inode.id);
    for (const { changes, links } of this.#names) {
      const { inode } = changes[0] as NameChange;
      // If an earlier rename does not survive, the inode also keeps its older name.
      if (!ask({ kind: 'name', inode, offset: 0 })) continue;
      for (const each of changes) setName(of(each.directory), each);
      for (const each of links) countLink(counts, each);
    }
    return { names, links: counts };
  }

  #named(directory: number, name: string): number {
    const inode = this.directory(directory).entries.get(name);
    if (inode === undefined) throw new Error(`a simulated disk has no ${name}: its journal is of another disk`);
    return inode;
  }

  #walk(id: number, path: string, visit: (inode: Inode, path: string) => void): void {
    const inode = this.inode(id);
    visit(inode, path);
    if (inode.kind !== 'directory') return;
    for (const name of [...inode.entries.keys()].sort()) {
      this.#walk(inode.entries.get(name) as number, `${path}/${name}`, visit);
    }
  }
}

function setName(names: Map<string, number>, { name, inode, taken }: NameChange): void {
  if (!taken) names.set(name, inode);
  else if (names.get(name) === inode) names.delete(name);
}

function countLink(links: Map<number, number>, { inode, added }: LinkChange): void {
  links.set(inode, (links.get(inode) ?? 0) + added);
}
