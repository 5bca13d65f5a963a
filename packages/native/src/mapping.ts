import { constants } from 'node:buffer';
import { fstatSync } from 'node:fs';
import { checkInteger, checkOptions, invalidType, outOfRange } from './arguments.js';
import type { MappingFunctions, MappingHandle } from './binding.js';
import { missingReason, required } from './feature.js';

/**
 * How mapped memory will be read: as usual; from start to end; at random; soon, so that the kernel may start to read it
 * from disk; not soon, so that the kernel may drop the pages from this process.
 */
export type MappingAdvice = 'normal' | 'sequential' | 'random' | 'willneed' | 'dontneed';

/** The index is the number that the binary uses. */
const ADVICE: readonly MappingAdvice[] = ['normal', 'sequential', 'random', 'willneed', 'dontneed'];

const NOTHING = new Uint8Array(0);

/** Options of {@link mapFile}. */
export interface MapFileOptions {
  /** Where in the file the mapping begins: a multiple of 65,536, or of the page size where that is known. Default 0. */
  readonly offset?: number;
  /** How many bytes are mapped. Default: all from `offset` on. */
  readonly length?: number;
}

/** Why files cannot be mapped here, in one sentence; `undefined` where they can. */
export const mappingUnavailableReason: string | undefined = missingReason('mapping', 'Mappings of files');

/**
 * A file mapped into memory, made by {@link mapFile}.
 *
 * Methods that take a range, in bytes, use everything from `offset` (default 0) on when no length is passed. They throw
 * `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) for a range that is not within the mapping;
 * `Error` (`ERR_WALSTACK_UNMAPPED`) after {@link Mapping.unmap}; and errors of the system, as `node:fs` throws them.
 */
export class Mapping {
  /** The size of the mapping in bytes. */
  readonly length: number;
  /**
   * The bytes of the file. Empty after {@link unmap}, and so are all views of it. In a transfer list Node.js 20 copies
   * it, and later versions refuse it (`DataCloneError`).
   */
  readonly buffer: ArrayBuffer;
  readonly #functions: MappingFunctions;
  readonly #handle: MappingHandle;
  readonly #broken: Uint8Array;
  #mapped = true;

  private constructor(functions: MappingFunctions, handle: MappingHandle, buffer: ArrayBuffer, broken?: ArrayBuffer) {
    this.#functions = functions;
    this.#handle = handle;
    this.buffer = buffer;
    this.length = buffer.byteLength;
    this.#broken = broken === undefined ? NOTHING : new Uint8Array(broken);
  }

  // biome-ignore lint/correctness/noUnusedPrivateClassMembers: `mapFile` uses it.
  private static make(
    functions: MappingFunctions,
    handle: MappingHandle,
    buffer: ArrayBuffer,
    broken: ArrayBuffer | undefined,
  ): Mapping {
    return new Mapping(functions, handle, buffer, broken);
  }

  /** Whether {@link unmap} was not called yet. */
  get mapped(): boolean {
    return this.#mapped;
  }

  /**
   * Whether memory was accessed, in any thread, that could not be read because the file was truncated or its disk
   * failed: from then on that memory is zeros. Costs no call. Check it after reading: if it is still `false`, the bytes
   * read were those of the file, except in the page in which a truncated file now ends: it reads as zeros after the new
   * end, and that is not detected.
   */
  get isBroken(): boolean {
    // An atomic load, which the compiler must not replace by an earlier result.
    return this.#broken.length > 0 && Atomics.load(this.#broken, 0) !== 0;
  }

  /** Tells the kernel how a range will be read. Only a hint: the content does not change. */
  advise(advice: MappingAdvice, offset?: number, length?: number): void {
    if (typeof advice !== 'string') throw invalidType('advice', 'a string', advice);
    const number = ADVICE.indexOf(advice);
    if (number === -1) throw outOfRange('advice', `one of ${ADVICE.join(', ')}`, advice);
    this.#functions.advise(this.#handle, ...this.#range(offset, length), number);
  }

  /**
   * Makes sure that the file still extends to the end of a range, and that none of it was found unreadable. It costs
   * one system call.
   *
   * @throws `Error` (`ERR_WALSTACK_FILE_CUT`)
   */
  checkNotCut(offset?: number, length?: number): void {
    this.#functions.checkNotCut(this.#handle, ...this.#range(offset, length));
  }

  /**
   * Does what {@link checkNotCut} does, and reads from disk what is not in memory yet: what the disk cannot read is an
   * error then, instead of zeros on access. It blocks the thread while the disk reads. Before Linux 5.14, on other
   * platforms, and for files that this process may not write to, nothing is read.
   *
   * @throws `Error` (`ERR_WALSTACK_FILE_CUT`); `Error` with `code` `EIO`
   */
  load(offset?: number, length?: number): void {
    this.#functions.load(this.#handle, ...this.#range(offset, length));
  }

  /**
   * How many bytes of a range are in the page cache. For files that this process may not write to, the kernel reports
   * all bytes.
   */
  residentBytes(offset?: number, length?: number): number {
    return this.#functions.residentBytes(this.#handle, ...this.#range(offset, length));
  }

  /**
   * Drops the pages that are completely in a range from this process's memory and from the page cache, from the latter
   * as far as they are on disk and not mapped elsewhere. They are read from disk on the next access. What was written
   * to them through the buffer is lost.
   */
  release(offset?: number, length?: number): void {
    this.#functions.release(this.#handle, ...this.#range(offset, length));
  }

  /**
   * Ends the mapping: the buffer and every view of it are empty from now on. The memory is unmapped as soon as no
   * ArrayBuffer has it any more, which is at once unless the buffer was moved by `transfer()`: the buffer that it was
   * moved into stays readable. Idempotent.
   *
   * Must not be called while an asynchronous call of Node.js, such as `zlib.gzip`, works on a view.
   */
  unmap(): void {
    if (!this.#mapped) return;
    this.#mapped = false;
    this.#functions.unmap(this.#handle, this.buffer);
  }

  /** The same as {@link unmap}, for `using`. */
  [Symbol.dispose](): void {
    this.unmap();
  }

  /** The default length; the binary checks the range. */
  #range(offset = 0, length = this.length - offset): [offset: number, length: number] {
    return [offset, length];
  }
}

/**
 * Maps an open file into memory, for reading. The file may be closed afterwards. Its lock stays as long as it is
 * mapped, see `lockFile`.
 *
 * The memory contains the bytes of the file, and must only be read: what is written to it is visible in this mapping
 * alone, and never reaches the file.
 *
 * A mapped file should not be truncated. On Linux, memory that was cut off, or that the disk cannot read, becomes zeros
 * on access, and {@link Mapping.isBroken} becomes `true`: check it after reading, and call {@link Mapping.checkNotCut}
 * or {@link Mapping.load} before. The signal for such an access, `SIGBUS`, is handled by this package from the first
 * mapping on; for other memory it is passed on to the previous handler. Elsewhere, and where a handler that was
 * installed later keeps it (such as `process.on('SIGBUS')`, which Node.js advises against), it ends the process.
 *
 * V8 counts the mapped bytes as memory of its own (`process.memoryUsage().external`) and starts a garbage collection
 * for every 64 MiB that are added. When a lot is mapped, one range after another, map less at a time.
 *
 * @param fd - a file that is open for reading
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) when the range is not within the
 * file, begins inside a page, or is more than an `ArrayBuffer` may have; `Error` with `code` `EBADF` (not open),
 * `EACCES` (not for reading), `ENODEV` (no file but a directory, pipe, device …), `ENOMEM`; `Error`
 * (`ERR_WALSTACK_NO_EXTERNAL_BUFFERS`) in a runtime, such as Electron, that does not allow an `ArrayBuffer` of external
 * memory: the file has to be read instead; `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) with {@link
 * mappingUnavailableReason}
 */
export function mapFile(fd: number, options: MapFileOptions = {}): Mapping {
  const functions = required('mapping', mappingUnavailableReason);
  checkOptions(options, ['offset', 'length']);
  checkInteger('fd', fd, 0, 0x7fff_ffff);
  const { offset = 0 } = options;
  checkInteger('options.offset', offset, 0, Number.MAX_SAFE_INTEGER);
  const length = options.length === undefined ? Math.max(0, fstatSync(fd).size - offset) : options.length;
  checkInteger('options.length', length, 0, Number.MAX_SAFE_INTEGER);
  if (length > constants.MAX_LENGTH) {
    throw outOfRange(
      'options.length',
      `at most ${constants.MAX_LENGTH}, which is what an ArrayBuffer can have`,
      length,
    );
  }
  const out: { buffer?: ArrayBuffer; broken?: ArrayBuffer } = {};
  const handle = functions.map(fd, offset, length, out);
  if (out.buffer === undefined) throw new Error('the binary has mapped a file and returned no buffer');
  return Mapping['make'](functions, handle, out.buffer, out.broken);
}
