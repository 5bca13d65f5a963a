import { DEFAULT_BLOCK_BYTES, WalError } from '@walstack/codec';
import { checkBlockBytes, checkBoolean, checkOptions, checkPath, optionNames } from '@walstack/codec/internal';
import { backendOf, releaseBackend } from '../backends/backend-option.js';
import type { StorageIoName } from '../backends/open-storage-io.js';
import { type IoRoutine, runAsync, runSync } from '../routines/routine.js';
import { closeFile } from '../routines/small-files.js';
import type { IoFile, StorageIo } from '../storage-io.js';
import { CountedIo } from './counted-io.js';
import { FileScanner } from './file-scanner.js';
import { longestFrame, throwUnlessTorn } from './file-tail.js';
import { checkUnsyncedBytes } from './writer-options.js';

/** A frame as it is read back. */
export interface Frame {
  /** Where in the file it starts: what the append returned. */
  readonly position: number;
  /** What was appended. */
  readonly data: Uint8Array;
}

/** How a file of frames is read. */
export interface ReadFramesOptions {
  /**
   * The backend. One that is passed stays open; one that is named is opened for each iteration and disposed of after
   * it. Default `'auto'`; for `for … of` one that can wait.
   */
  readonly io?: StorageIo | StorageIoName;
  /** As it was written with. Default 4096. */
  readonly blockBytes?: number;
  /** As it was written with. Default 8 MiB. */
  readonly maxUnsyncedBytes?: number;
  /**
   * Return copies of the data. With `false` the data are views of a buffer, valid only until the next frame is read.
   * Default `true`.
   */
  readonly copy?: boolean;
}

const KNOWN = optionNames<ReadFramesOptions>({ io: true, blockBytes: true, maxUnsyncedBytes: true, copy: true });

/** The checked options of {@link readFrames}. */
interface Plan {
  readonly path: string;
  readonly io: StorageIo | StorageIoName | undefined;
  readonly blockBytes: number;
  readonly maxUnsyncedBytes: number;
  readonly copy: boolean;
}

/**
 * Reads the frames of a file that a `PortableWalWriter` has written, and changes nothing. The file is opened when the
 * frames are iterated over, not before.
 *
 * @throws `TypeError`, `RangeError` for wrong arguments
 */
export function readFrames(path: string | URL, options: ReadFramesOptions = {}): Frames {
  const checkedPath = checkPath('path', path);
  const {
    io,
    blockBytes = DEFAULT_BLOCK_BYTES,
    maxUnsyncedBytes,
    copy = true,
  } = checkOptions('options', options, KNOWN);
  checkBlockBytes('blockBytes', blockBytes);
  return Frames['make']({
    path: checkedPath,
    io,
    blockBytes,
    maxUnsyncedBytes: checkUnsyncedBytes(maxUnsyncedBytes, blockBytes),
    copy: checkBoolean('copy', copy),
  });
}

/**
 * The frames of a file, in order: iterable with `for … of` on a backend that can wait, and with `for await … of` on
 * any. Each iteration reads the file anew, up to its size when the iteration began, in constant memory, and closes the
 * file when it ends. It ends with the last readable frame; where the bytes after it cannot be the rest of a torn write,
 * it throws `WAL_CORRUPT` there.
 */
export class Frames implements Iterable<Frame>, AsyncIterable<Frame> {
  readonly #plan: Plan;

  private constructor(plan: Plan) {
    this.#plan = plan;
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `readFrames` uses it.
  private static make(plan: Plan): Frames {
    return new Frames(plan);
  }

  *[Symbol.iterator](): Generator<Frame, void, undefined> {
    const backend = backendOf(this.#plan.io, 'wait');
    try {
      const reading = new FrameIteration(backend.io, this.#plan);
      try {
        while (runSync(backend.io, reading.advance())) {
          for (let frame = reading.next(); frame !== undefined; frame = reading.next()) yield frame;
        }
      } finally {
        reading.close();
      }
    } finally {
      // Nothing is in flight after blocking calls, so there is nothing to wait for.
      void releaseBackend(backend);
    }
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Frame, void, undefined> {
    const backend = backendOf(this.#plan.io, 'async');
    try {
      const reading = new FrameIteration(backend.io, this.#plan);
      try {
        while (await runAsync(backend.io, reading.advance())) {
          for (let frame = reading.next(); frame !== undefined; frame = reading.next()) yield frame;
        }
      } finally {
        reading.close();
      }
    } finally {
      await releaseBackend(backend);
    }
  }
}

/** One iteration over the frames of a file. */
class FrameIteration {
  readonly #io: StorageIo;
  readonly #plan: Plan;
  readonly #file: IoFile;
  readonly #scanner: FileScanner;

  constructor(io: StorageIo, plan: Plan) {
    const { path, blockBytes, maxUnsyncedBytes } = plan;
    this.#io = io;
    this.#plan = plan;
    this.#file = io.open(path, { readOnly: true });
    this.#scanner = new FileScanner(new CountedIo(io), {
      file: this.#file,
      blockBytes,
      limit: io.size(this.#file),
      frameBytesMax: longestFrame(maxUnsyncedBytes, blockBytes),
    });
  }

  /** The next frame in the buffer; `undefined` when `advance()` has to read more. */
  next(): Frame | undefined {
    const scanner = this.#scanner;
    if (!scanner.next()) return undefined;
    const data = scanner.data();
    return { position: scanner.position, data: this.#plan.copy ? data.slice() : data };
  }

  /** Reads more, and returns whether there are further frames. @throws `WAL_CORRUPT` */
  *advance(): IoRoutine<boolean> {
    if (yield* this.#scanner.fill()) return true;
    throwUnlessTorn(this.#plan.path, this.#scanner, this.#plan.maxUnsyncedBytes);
    return false;
  }

  close(): void {
    try {
      closeFile(this.#io, this.#file);
    } catch (error) {
      // A disposed backend has closed the file already.
      if (!WalError.is(error, 'WAL_CLOSED')) throw error;
    }
  }
}
