import { WalError } from '@walstack/codec';
import type { IoFile } from '../../storage-io.js';
import { OpenFile } from './open-file.js';

/**
 * The open files of one backend, by identity: neither another backend's file nor a closed one is accepted, whatever its
 * number.
 */
export class FileTable<Handle> {
  readonly #files = new Map<IoFile, OpenFile<Handle>>();
  #lastFd = 0;

  add(path: string, handle: Handle, alignment: number, readOnly: boolean): IoFile {
    this.#lastFd += 1;
    const file: IoFile = Object.freeze({ fd: this.#lastFd, path, direct: alignment > 1, alignment });
    this.#files.set(file, new OpenFile(file, handle, readOnly));
    return file;
  }

  /** @throws `WAL_BAD_FD` */
  get(file: IoFile): OpenFile<Handle> {
    const open = this.#files.get(file);
    if (open === undefined) throw badFile(file);
    return open;
  }

  /** A file that may be written. @throws `WAL_BAD_FD`, also when it was opened for reading only */
  getWritable(file: IoFile): OpenFile<Handle> {
    const open = this.get(file);
    if (!open.readOnly) return open;
    const { path } = file;
    throw new WalError('WAL_BAD_FD', `this file (${path}) was opened for reading only: open it without readOnly`, {
      path,
    });
  }

  remove(file: OpenFile<Handle>): void {
    this.#files.delete(file.io);
  }

  /** Empties the table, and returns what was in it. */
  removeAll(): OpenFile<Handle>[] {
    const all = [...this.#files.values()];
    this.#files.clear();
    return all;
  }
}

function badFile(file: IoFile): WalError {
  const path: unknown = file?.path;
  const named = typeof path === 'string' ? ` (${path})` : '';
  return new WalError('WAL_BAD_FD', `this file${named} is not open in this backend: open it again`, {
    ...(typeof path === 'string' ? { path } : {}),
  });
}
