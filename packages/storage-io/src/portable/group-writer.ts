import { WalError } from '@walstack/codec';
import type { IoRoutine } from '../routines/routine.js';
import type { IoFile } from '../storage-io.js';
import type { AppendBuffer } from './append-buffer.js';
import type { CountedIo } from './counted-io.js';

/** What a {@link GroupWriter} writes, and how far it has come. */
export interface WriterStart {
  readonly steps: CountedIo;
  readonly file: IoFile;
  readonly buffer: AppendBuffer;
  /** Everything in the file before this is known to be durable. */
  readonly durableEnd: number;
  /** Before more bytes than these are written and not durable, there is a sync. */
  readonly maxUnsyncedBytes: number;
}

/**
 * Writes what was appended, group by group at the end of the file, and makes it durable.
 *
 * The routines must not interleave, which is the business of whoever runs them. After the first failure of one of them
 * nothing is accepted any more: what the disk holds is found out when the file is opened again.
 */
export class GroupWriter {
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

  /** Where in the file ends what was written. */
  get written(): number {
    return this.#written;
  }

  /** Where in the file ends what is durable. */
  get durable(): number {
    return this.#durable;
  }

  /** The first failure; then nothing is accepted any more. */
  get failure(): WalError | undefined {
    return this.#failure;
  }

  /** Appends that were accepted, and that a failure has kept from being written. */
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
        'go on with what the disk really has',
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
    // What is appended meanwhile is left to later calls, or this might never end.
    const until = buffer.position;
    while (this.#written < until) {
      const group = buffer.take();
      if (group === undefined) throw new WalError('WAL_STATE', 'appends are missing that were to be written');
      yield* this.#writeGroup(group.bytes, group.position, durable);
      buffer.release(group);
    }
  }

  *#writeGroup(bytes: Uint8Array, position: number, durable: boolean): IoRoutine<void> {
    const { steps, file, maxUnsyncedBytes } = this.#start;
    const end = position + bytes.length;
    if (end - this.#durable > maxUnsyncedBytes) yield* this.#datasync();
    // A durable write says nothing about what was written before it without that.
    const alone = durable && this.#durable === position;
    yield* steps.write(file, bytes, position, alone ? DURABLE : undefined);
    this.#written = end;
    if (alone) this.#durable = end;
  }

  *#datasync(): IoRoutine<void> {
    const written = this.#written;
    if (this.#durable === written) return;
    yield* this.#start.steps.datasync(this.#start.file);
    this.#durable = written;
  }
}

const DURABLE = { durable: true } as const;
