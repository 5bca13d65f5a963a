import type { AsyncFileOps, SyncFileOps } from '@walstack/storage-io';
import type { TinyFile } from './tiny-ops.js';

/** The alignment that {@link withDirect} makes believe. */
const ALIGNMENT = 512;

/** A read or a write, of either kind of operations. */
type Move = (file: TinyFile, bytes: Uint8Array, offset: number, ...rest: never[]) => unknown;

/**
 * Operations that claim direct I/O, with memory whose aligned part begins somewhere inside. On a file opened for it they
 * refuse what is not aligned, also behind the end of the file, as some operating systems do.
 */
export function withDirect<Ops extends SyncFileOps<TinyFile> | AsyncFileOps<TinyFile>>(ops: Ops): Ops {
  const direct = new Set<TinyFile>();
  const strict =
    (move: Move): Move =>
    (file, bytes, offset, ...rest) => {
      if (!direct.has(file) || (bytes.length % ALIGNMENT === 0 && offset % ALIGNMENT === 0)) {
        return move(file, bytes, offset, ...rest);
      }
      throw Object.assign(new Error('EINVAL'), { code: 'EINVAL' });
    };
  return {
    ...ops,
    open: (path, flags) => {
      const handle = handleOf(ops.open(path, flags));
      if (flags.direct) direct.add(handle);
      return handle;
    },
    close: (file) => {
      direct.delete(file);
      ops.close(file);
    },
    read: strict(ops.read),
    write: strict(ops.write),
    directAlignment: () => ALIGNMENT,
    allocateBuffer: (bytes: number) => new Uint8Array(new ArrayBuffer(bytes + 24), 24, bytes),
  };
}

/** A handle of its own on a file: another one on the same file may be open in another way. */
function handleOf(file: TinyFile): TinyFile {
  return {
    get bytes() {
      return file.bytes;
    },
    set bytes(bytes) {
      file.bytes = bytes;
    },
    get open() {
      return file.open;
    },
    set open(count) {
      file.open = count;
    },
  };
}
