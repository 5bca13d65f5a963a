import type { IoFile } from '../../storage-io.js';
import type { FileSync } from './file-sync.js';
import type { FileTail } from './file-tail.js';

/** The state that a backend keeps for an open file. */
export class OpenFile<Handle> {
  /** The file as the caller sees it. */
  readonly io: IoFile;
  readonly handle: Handle;
  /** Whether it was opened for reading only. */
  readonly readOnly: boolean;
  /** Operations submitted and not yet completed. While there are any, closing is refused. */
  inFlight = 0;
  /** The highest end of the writes begun since nothing was in flight; the file may still be shorter. */
  writesEnd = 0;
  /** The operations at the end of the file, one after another; only for asynchronous operations. */
  tail: FileTail | undefined = undefined;
  /** Whether its file system honours durable writes; `undefined` until that was looked up. */
  durableWrites: boolean | undefined = undefined;
  /** Its syncs, one after another; only for asynchronous operations. */
  sync: FileSync | undefined = undefined;

  constructor(io: IoFile, handle: Handle, readOnly: boolean) {
    this.io = io;
    this.handle = handle;
    this.readOnly = readOnly;
  }
}
