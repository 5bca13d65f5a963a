import { constants } from 'node:buffer';
import { fstatSync } from 'node:fs';
import { checkInteger, checkOptions, invalidType, outOfRange } from './arguments.js';
import type { MappingFunctions, MappingHandle } from './binding.js';
import { missingReason, required } from './feature.js';

/**
 * How mapped memory is going to be read: as usual; from start to end; here and there; soon, so that reading it from disk
 * may begin; not for a while, so that this process may do without it.
 */
export type MappingAdvice = 'normal' | 'sequential' | 'random' | 'willneed' | 'dontneed';

/** In the order in which the binary numbers them. */
const ADVICE: readonly MappingAdvice[] = ['normal', 'sequential', 'random', 'willneed', 'dontneed'];

const NOTHING = new Uint8Array(0);

/** Options of {@link mapFile}. */
export interface MapFileOptions {
  /** Where in the file the mapping begins: a multiple of 65,536, or of the size of a page where that is known. Default 0. */
  readonly offset?: number;
  /** How many bytes are mapped. Default: all from `offset` on. */
  readonly length?: number;
}

/** Why files cannot be mapped here, in one sentence; `undefined` where they can. */
export const mappingUnavailableReason: string | undefined = missingReason('mapping', 'Mappings of files');

/**
 * A file mapped into memory, made by {@link mapFile}.
 *
 * Methods that take a range, in bytes, mean all from `offset` (default 0) on when they get no length. They throw
 * `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) for a range that is not within the mapping;
 * `Error` (`ERR_WALSTACK_UNMAPPED`) after {@link Mapping.unmap}; and what the system says, as `node:fs` does.
 */
export class Mapping {
  /** What was mapped, in bytes. */
  readonly length: number;
  /**
   * The bytes of the file. Empty after {@link unmap}, as all views of it are then. In a transfer list Node.js 20 copies it,
   * and later versions refuse it (`DataCloneError`).
   */
  readonly buffer: ArrayBuffer;
  readonly #functions: MappingFunctions;
  readonly #handle: MappingHandle;
  readonly #broken: Uint8Array;
  #mapped = true;

  /** For {@link mapFile}. */
  constructor(functions: MappingFunctions, handle: MappingHandle, buffer: ArrayBuffer, broken?: ArrayBuffer) {
    this.#functions = functions;
    this.#handle = handle;
    this.buffer = buffer;
    this.length = buffer.byteLength;
    this.#broken = broken === undefined ? NOTHING : new Uint8Array(broken);
  }

  /** Whether {@link unmap} was not called yet. */
  get mapped(): boolean {
    return this.#mapped;
  }

  /**
   * Whether memory was touched, in whatever thread, that could not be read, as the file was cut or its disk failed: zeros
   * stand there since, for good. Costs no call. To be asked after a read: what was read before it is `false` is what
   * stood in the file, but for the page that the file ends in, which reads as zeros from its new end on without a word.
   */
  get isBroken(): boolean {
    // What the compiler may not take from an earlier look.
    return this.#broken.length > 0 && Atomics.load(this.#broken, 0) !== 0;
  }

  /** Tells the kernel how a range is going to be read. A hint: what is read stays the same. */
  advise(advice: MappingAdvice, offset?: number, length?: number): void {
    if (typeof advice !== 'string') throw invalidType('advice', 'a string', advice);
    const number = ADVICE.indexOf(advice);
    if (number === -1) throw outOfRange('advice', `one of ${ADVICE.join(', ')}`, advice);
    this.#functions.advise(this.#handle, ...this.#range(offset, length), number);
  }

  /**
   * Makes sure that the file still reaches to the end of a range, and that nothing of it was found to be unreadable. It
   * costs one system call.
   *
   * @throws `Error` (`ERR_WALSTACK_FILE_CUT`)
   */
  checkNotCut(offset?: number, length?: number): void {
    this.#functions.checkNotCut(this.#handle, ...this.#range(offset, length));
  }

  /**
   * Does what {@link checkNotCut} does, and reads from disk what is not in memory yet: what the disk cannot read is an
   * error then, instead of zeros where it is touched. It blocks the thread while the disk reads. Before Linux 5.14,
   * on other platforms, and for files that this process may not write to, nothing is read.
   *
   * @throws `Error` (`ERR_WALSTACK_FILE_CUT`); `Error` with `code` `EIO`
   */
  load(offset?: number, length?: number): void {
    this.#functions.load(this.#handle, ...this.#range(offset, length));
  }

  /**
   * How many bytes of a range are in the page cache. For files that this process may not write to, the kernel says that
   * all are.
   */
  residentBytes(offset?: number, length?: number): number {
    return this.#functions.residentBytes(this.#handle, ...this.#range(offset, length));
  }

  /**
   * Takes the pages that lie in a range as a whole out of this process's memory and out of the page cache, there as far
   * as they are on disk and nothing else has them mapped. They are read from disk when they are touched again. What was
   * written to them through the buffer is forgotten.
   */
  release(offset?: number, length?: number): void {
    this.#functions.release(this.#handle, ...this.#range(offset, length));
  }

  /**
   * Ends the mapping: the buffer and every view of it are empty from now on. The memory is unmapped as soon as nothing
   * in JavaScript has it, which is at once unless the buffer had been moved by `transfer()`: what it was moved into can
   * be read as before. Idempotent.
   *
   * Not to be called while an asynchronous call of Node.js, such as `zlib.gzip`, works on a view.
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

  /** The binary says what is wrong with a range. */
  #range(offset = 0, length = this.length - offset): [offset: number, length: number] {
    return [offset, length];
  }
}

/**
 * Maps an open file into memory, for reading. The file may be closed afterwards. A lock that it has stays as long as it
 * is mapped, see `lockFile`.
 *
 * The memory shows what is in the file, and is to be read only: what is written to it is seen by this mapping alone, and
 * never gets into the file.
 *
 * A file that is mapped should not be cut. On Linux, memory that was cut off, or that the disk cannot read, is zeros when it
 * is touched, and {@link Mapping.isBroken} says so: reading is followed by a look at it, and preceded by
 * {@link Mapping.checkNotCut} or {@link Mapping.load}. The signal of such memory, `SIGBUS`, is handled by this package from
 * the first mapping on; that of other memory goes to the handler that was there before. Elsewhere, and where a handler that
 * was put in later keeps it (such as `process.on('SIGBUS')`, which Node.js advises against), it ends the process.
 *
 * V8 counts the mapped bytes as memory of its own (`process.memoryUsage().external`) and begins to collect garbage for
 * every 64 MiB that come to it. Where much is mapped, one after another, map it by less at a time.
 *
 * @param fd - a file that is open for reading
 * @throws `TypeError` (`ERR_INVALID_ARG_TYPE`); `RangeError` (`ERR_OUT_OF_RANGE`) when the range is not within the
 * file, begins inside a page, or is more than an `ArrayBuffer` may have; `Error` with `code` `EBADF` (not open), `EACCES` (not for reading), `ENODEV`
 * (no file but a directory, pipe, device …), `ENOMEM`; `Error` (`ERR_WALSTACK_NO_EXTERNAL_BUFFERS`) in a runtime, such
 * as Electron, that lets no `ArrayBuffer` show memory of others: the file has to be read; `Error`
 * (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) with {@link mappingUnavailableReason}
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
  if (out.buffer === undefined) throw new Error('the binary has mapped a file and shows nothing of it');
  return new Mapping(functions, handle, out.buffer, out.broken);
}
