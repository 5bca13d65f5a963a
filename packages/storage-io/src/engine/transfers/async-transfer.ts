import { errnoOf } from '../../errors/system-error.js';
import type { IoToken } from '../../storage-io.js';
import type { DoneWithCount } from '../file-ops.js';
import type { TailOperation } from '../files/file-tail.js';
import type { OpenFile } from '../files/open-file.js';
import type { Submissions } from '../submissions/submissions.js';
import { Transfer } from './transfer.js';
import type { Zeros } from './zeros.js';

/** The offset of an `append` or `fill` is determined when it is started. */
export type AsyncTransferKind = 'read' | 'write' | 'durable-write' | 'append' | 'fill';

/** Reads or writes the bytes at an offset, or some of them; with direct I/O whole blocks. */
type Move<Handle> = (file: OpenFile<Handle>, bytes: Uint8Array, offset: number, done: DoneWithCount) => void;

/** What all transfers of one backend share. */
export interface TransferContext<Handle> {
  readonly size: (handle: Handle) => number;
  readonly read: Move<Handle>;
  readonly write: Move<Handle>;
  /** Present only where durable writes are possible. */
  readonly writeDurable?: Move<Handle>;
  readonly zeros: Zeros;
  readonly submissions: Submissions;
}

const NOTHING = new Uint8Array(0);

/** One submission that moves bytes, piece by piece, through operations that call back. */
export class AsyncTransfer<Handle> implements TailOperation {
  readonly #context: TransferContext<Handle>;
  readonly #token: IoToken;
  readonly #file: OpenFile<Handle>;
  readonly #kind: AsyncTransferKind;
  readonly #bytes: Uint8Array;
  /** The length of the bytes when they were submitted: their buffer may be detached or resized later. */
  readonly #length: number;
  #offset: number;
  /** Where a fill ends. */
  readonly #end: number;
  #transfer: Transfer | undefined;
  /** Whether it was queued at the file's tail, which then has to be called when it ends. */
  #atTail = false;
  /** Whether an operation is being called: it may call back before it returns. */
  #calling = false;
  /** Whether an operation has not called back yet. */
  #owed = false;
  #repeatCall = false;

  private constructor(
    context: TransferContext<Handle>,
    token: IoToken,
    file: OpenFile<Handle>,
    kind: AsyncTransferKind,
    bytes: Uint8Array,
    offset: number,
    end: number,
  ) {
    this.#context = context;
    this.#token = token;
    this.#file = file;
    this.#kind = kind;
    this.#bytes = bytes;
    this.#length = bytes.length;
    this.#offset = offset;
    this.#end = end;
  }

  static at<Handle>(
    context: TransferContext<Handle>,
    token: IoToken,
    file: OpenFile<Handle>,
    kind: 'read' | 'write' | 'durable-write',
    bytes: Uint8Array,
    offset: number,
  ): AsyncTransfer<Handle> {
    return new AsyncTransfer(context, token, file, kind, bytes, offset, 0);
  }

  static append<Handle>(
    context: TransferContext<Handle>,
    token: IoToken,
    file: OpenFile<Handle>,
    bytes: Uint8Array,
  ): AsyncTransfer<Handle> {
    return new AsyncTransfer(context, token, file, 'append', bytes, 0, 0);
  }

  /** Writes zeros up to `end`, from `offset` or the end of the file, whichever comes later. */
  static fill<Handle>(
    context: TransferContext<Handle>,
    token: IoToken,
    file: OpenFile<Handle>,
    offset: number,
    end: number,
  ): AsyncTransfer<Handle> {
    return new AsyncTransfer(context, token, file, 'fill', NOTHING, offset, end);
  }

  get isAppend(): boolean {
    return this.#kind === 'append';
  }

  get offset(): number {
    return this.#offset;
  }

  /** Queues it at the file's tail, after what is queued there. */
  queueAtTail(tail: { add(operation: TailOperation): void }): void {
    this.#atTail = true;
    tail.add(this);
  }

  start(): void {
    try {
      this.#transfer = this.#plan();
    } catch (error) {
      this.#finish(errnoOf(error));
      return;
    }
    if (this.#transfer.empty) this.#finish(0);
    else this.#run(this.#transfer);
  }

  cancel(result: number): void {
    this.#atTail = false;
    this.#finish(result);
  }

  #plan(): Transfer {
    const file = this.#file;
    const { alignment } = file.io;
    if (this.#kind === 'read') return Transfer.of('read', this.#bytes, this.#offset, alignment, this.#length);
    if (this.#kind === 'append' || this.#kind === 'fill') {
      // Writes in flight may end after the current end of the file.
      const end = Math.max(this.#context.size(file.handle), file.writesEnd);
      this.#offset = Math.max(end, this.#offset);
      if (this.#kind === 'fill')
        return Transfer.fill(this.#offset, this.#end, this.#context.zeros.for(file.io), alignment);
    }
    const writeEnd = this.#offset + this.#length;
    if (this.#length > 0 && writeEnd > file.writesEnd) file.writesEnd = writeEnd;
    const kind = this.#kind === 'durable-write' ? 'durable-write' : 'write';
    return Transfer.of(kind, this.#bytes, this.#offset, alignment, this.#length);
  }

  /** A loop, not a recursion: operations may call back before they return. */
  #run(transfer: Transfer): void {
    const { submissions } = this.#context;
    this.#calling = true;
    submissions.enter();
    do {
      this.#repeatCall = false;
      this.#owed = true;
      try {
        this.#call(transfer);
      } catch (error) {
        this.#answer(error as Error);
      }
    } while (this.#repeatCall);
    submissions.leave();
    this.#calling = false;
  }

  #call(transfer: Transfer): void {
    const { read, write, writeDurable = write } = this.#context;
    const { kind, rest, position } = transfer;
    const move = kind === 'read' ? read : kind === 'durable-write' ? writeDurable : write;
    move(this.#file, rest, position, this.#answer);
  }

  readonly #answer = (error: Error | null | undefined, count?: number): void => {
    const transfer = this.#transfer;
    if (!this.#owed || transfer === undefined) return;
    this.#owed = false;
    const result = error ? transfer.fail(error) : transfer.advance(count);
    if (result !== undefined) this.#finish(result);
    else if (this.#calling) this.#repeatCall = true;
    else this.#run(transfer);
  };

  #finish(result: number): void {
    const { submissions } = this.#context;
    if (this.#atTail) {
      submissions.enter();
      this.#file.tail?.ended(result);
      submissions.leave();
    }
    const kind = this.#kind === 'append' ? 'write' : this.#kind === 'fill' ? 'other' : this.#kind;
    submissions.finish(this.#token, kind, result, this.#file);
  }
}
