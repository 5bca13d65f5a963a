import type { IoFile } from '../storage-io.js';
import type { FileSync } from './file-sync.js';
import type { FileTail } from './file-tail.js';

/** What a backend knows of a file that is open. */
export class OpenFile<Handle> {
  /** What the caller knows it by. */
  readonly io: IoFile;
  readonly handle: Handle;
  /** Whether it was opened for reading only. */
  readonly readOnly: boolean;
  /** Operations submitted and not yet completed. While there are any, the handle stays open. */
  inFlight = 0;
  /** Where the writes end that have begun since nothing was in flight: the file may not reach there yet. */
  writesEnd = 0;
  /** What is done to the end of the file one after another; only where operations take time. */
  tail: FileTail | undefined = undefined;
  /** Whether a durable write can be left to its file system; `undefined` as long as it was not looked at. */
  durableWrites: boolean | undefined = undefined;
  /** Its syncs, one after another; only where operations take time. */
  sync: FileSync | undefined = undefined;

  constructor(io: IoFile, handle: Handle, readOnly: boolean) {
    this.io = io;
    this.handle = handle;
    this.readOnly = readOnly;
  }
}
