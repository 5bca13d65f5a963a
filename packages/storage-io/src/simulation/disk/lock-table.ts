import { WalError } from '@walstack/codec';

/** Processes are known here by their identity alone. */
type Process = object;

/** A file that is open. */
interface Handle {
  readonly file: { readonly id: number };
}

interface FileLocks {
  readonly shared: Map<Handle, Process>;
  exclusive: { readonly handle: Handle; readonly process: Process } | undefined;
}

/** The locks on one disk. They are not stored in files, so none survives a crash. */
export class LockTable {
  /** The holder of a path's lock, by inode. */
  readonly #paths = new Map<number, { readonly process: Process }>();
  readonly #files = new Map<number, FileLocks>();

  /** @throws `WAL_LOCKED` */
  lockPath(process: Process, inode: number, path: string): () => void {
    if (this.#paths.has(inode)) {
      const holder = 'another process of the simulation, or this one';
      throw new WalError('WAL_LOCKED', `${path} is held by ${holder}: close the log there, then try again`, {
        path,
        holder,
        reason: 'held',
      });
    }
    const held = { process };
    this.#paths.set(inode, held);
    return () => {
      if (this.#paths.get(inode) === held) this.#paths.delete(inode);
    };
  }

  lockFile(process: Process, handle: Handle, mode: 'shared' | 'exclusive'): boolean {
    const { id } = handle.file;
    const locks: FileLocks = this.#files.get(id) ?? { shared: new Map(), exclusive: undefined };
    const others = locks.shared.size - (locks.shared.has(handle) ? 1 : 0);
    if (locks.exclusive !== undefined && locks.exclusive.handle !== handle) return false;
    if (mode === 'exclusive' && others > 0) return false;
    this.releaseFile(handle);
    if (mode === 'shared') locks.shared.set(handle, process);
    else locks.exclusive = { handle, process };
    this.#files.set(id, locks);
    return true;
  }

  /** Releases the lock of an open file, if it has one. */
  releaseFile(handle: Handle): void {
    const locks = this.#files.get(handle.file.id);
    locks?.shared.delete(handle);
    if (locks?.exclusive?.handle === handle) locks.exclusive = undefined;
  }

  /** Releases all locks of a process. */
  releaseAll(process: Process): void {
    for (const [inode, held] of this.#paths) if (held.process === process) this.#paths.delete(inode);
    for (const locks of this.#files.values()) {
      for (const [handle, holder] of locks.shared) if (holder === process) locks.shared.delete(handle);
      if (locks.exclusive?.process === process) locks.exclusive = undefined;
    }
  }
}
