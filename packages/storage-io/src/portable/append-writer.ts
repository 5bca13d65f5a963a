import { WalError } from '@walstack/codec';
import type { IoRoutine } from '../routines/routine.js';
import type { IoFile } from '../storage-io.js';
import type { AppendBuffer } from './append-buffer.js';
import type { CountedIo } from './counted-io.js';

/** What a {@link AppendWriter} writes, and where it begins. */
export interface WriterStart {
  readonly steps: CountedIo;
  readonly file: IoFile;
  readonly buffer: AppendBuffer;
  /** Everything in the file before this is known to be durable. */
  readonly durableEnd: number;
  /** It syncs before more bytes than these are written and not durable. */
  readonly maxUnsyncedBytes: number;
}

/**
 * Writes appends to the end of the file, group by group, and makes them durable.
 *
 * The routines must not interleave: the caller runs them one after another. After the first failure all further calls
 * are refused: what is on the disk is found out when the file is opened again.
 */
export class AppendWriter {
  readonly #start: WriterStart;
  readonly #durableWrites: boolean;
  #written: number;
  #durable: number;
  #failure: WalError | undefined;
  #dropped = 0;

  constructor(start: WriterStart) {
    this.#start = start;
    this.#written = start.buffer.position;
    this.#durable = start.durableEnd;
    this.#durableWrites = start.file.direct && start.steps.io.capabilities.durableWrites;
  }

  /** The end of what is written, as a position in the file. */
  get written(): number {
    return this.#written;
  }

  /** The end of what is durable, as a position in the file. */
  get durable(): number {
    return this.#durable;
  }

  /** The first failure; after it all calls are refused. */
  get failure(): WalError | undefined {
    return this.#failure;
  }

  /** Appends that were accepted, but not written because of a failure. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Hands everything appended so far to the operating system. Not durable on return. */
  *write(): IoRoutine<void> {
    yield* this.#guarded(this.#writeGroups(false));
  }

  /** Makes everything appended so far durable. */
  *sync(): IoRoutine<void> {
    yield* this.#guarded(this.#syncGroups());
  }

  /** @throws an error with the code of the first failure */
  throwIfFailed(): void {
    if (this.#failure === undefined) return;
    const { path } = this.#start.file;
    throw new WalError(
      this.#failure.code,
      `writing ${path} failed earlier, and nothing is accepted any more (${this.#failure.message}): open it again to ` +
        'continue with what is really on the disk',
      { path },
      { cause: this.#failure },
    );
  }

  /** A failure is final: a later sync that succeeds would prove nothing about what the kernel dropped. */
  *#guarded(routine: IoRoutine<void>): IoRoutine<void> {
    this.throwIfFailed();
    try {
      yield* routine;
    } catch (error) {
      this.#failure = WalError.is(error)
        ? error
        : new WalError('WAL_IO_FAILED', `writing failed: ${String(error)}`, {}, { cause: error });
      this.#dropped = this.#start.buffer.discard();
      throw this.#failure;
    }
  }

  *#syncGroups(): IoRoutine<void> {
    yield* this.#writeGroups(this.#durableWrites);
    yield* this.#datasync();
  }

  *#writeGroups(durable: boolean): IoRoutine<void> {
    const { buffer } = this.#start;
    // What is appended meanwhile is left to later calls: otherwise this might never end.
    const until = buffer.position;
    while (this.#written < until) {
      const group = buffer.take();
      if (group === undefined) throw new WalError('WAL_STATE', 'appends that were to be written are missing');
      yield* this.#writeGroup(group.bytes, group.position, durable);
      buffer.release(group);
    }
  }

  *#writeGroup(bytes: Uint8Array, position: number, durable: boolean): IoRoutine<void> {
    const { steps, file, maxUnsyncedBytes } = this.#start;
    const end = position + bytes.length;
    if (end - this.#durable > maxUnsyncedBytes) yield* this.#datasync();
    // A durable write does not make durable what was written before it without being durable.
    const extendsDurable = durable && this.#durable === position;
    yield* steps.write(file, bytes, position, extendsDurable ? DURABLE : undefined);
    this.#written = end;
    if (extendsDurable) this.#durable = end;
  }

  *#datasync(): IoRoutine<void> {
    const written = this.#written;
    if (this.#durable === written) return;
    yield* this.#start.steps.datasync(this.#start.file);
    this.#durable = written;
  }
}

const DURABLE = { durable: true } as const;
