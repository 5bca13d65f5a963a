import { errnoOf } from '../errors/system-error.js';
import type { IoToken } from '../storage-io.js';
import type { Executor } from './executor.js';
import type { AsyncFileOps, Done } from './file-ops.js';
import { FileSync } from './files/file-sync.js';
import { FileTail } from './files/file-tail.js';
import type { OpenFile } from './files/open-file.js';
import type { SubmissionKind, Submissions } from './submissions/submissions.js';
import { AsyncTransfer, type TransferContext } from './transfers/async-transfer.js';
import { roundDown, roundUp, Zeros } from './transfers/zeros.js';

/** Carries out submissions by operations that call back. */
export class AsyncExecutor<Handle> implements Executor<Handle> {
  readonly inline = false;
  readonly canWait: boolean;
  readonly durableWrites: boolean;
  readonly #ops: AsyncFileOps<Handle>;
  readonly #submissions: Submissions;
  readonly #context: TransferContext<Handle>;

  constructor(ops: AsyncFileOps<Handle>, submissions: Submissions) {
    this.canWait = ops.wait !== undefined;
    this.durableWrites = ops.writeDurable !== undefined;
    this.#ops = ops;
    this.#submissions = submissions;
    this.#context = {
      size: (handle) => ops.size(handle),
      read: ({ handle }, into, offset, done) => ops.read(handle, into, offset, done),
      write: ({ handle }, data, offset, done) => ops.write(handle, data, offset, done),
      zeros: new Zeros(ops),
      submissions,
      ...(this.durableWrites
        ? { writeDurable: ({ handle }, data, offset, done) => ops.writeDurable?.(handle, data, offset, done) }
        : {}),
    };
  }

  wait(wanted: number, timeoutMs: number | undefined): void {
    this.#ops.wait?.(() => this.#submissions.finished >= wanted, timeoutMs);
  }

  write(token: IoToken, file: OpenFile<Handle>, data: Uint8Array, offset: number, durable: boolean): void {
    const transfer = AsyncTransfer.at(this.#context, token, file, durable ? 'durable-write' : 'write', data, offset);
    if (file.tail?.mustQueue(offset + data.length)) transfer.queueAtTail(file.tail);
    else transfer.start();
  }

  append(token: IoToken, file: OpenFile<Handle>, data: Uint8Array): void {
    file.tail ??= new FileTail();
    AsyncTransfer.append(this.#context, token, file, data).queueAtTail(file.tail);
  }

  read(token: IoToken, file: OpenFile<Handle>, into: Uint8Array, offset: number): void {
    AsyncTransfer.at(this.#context, token, file, 'read', into, offset).start();
  }

  datasync(token: IoToken, file: OpenFile<Handle>): void {
    file.sync ??= new FileSync((ended) => this.#call((ops, done) => ops.datasync(file.handle, done), ended), false);
    file.sync.add((result) => this.#submissions.finish(token, 'sync', result, file));
  }

  truncate(token: IoToken, file: OpenFile<Handle>, bytes: number): void {
    this.#run(token, 'other', file, (ops, done) => ops.truncate(file.handle, bytes, done));
  }

  allocate(token: IoToken, file: OpenFile<Handle>, offset: number, bytes: number): void {
    if (this.#ops.allocate === undefined) {
      file.tail ??= new FileTail();
      const { alignment } = file.io;
      const [from, to] = [roundDown(offset, alignment), roundUp(offset + bytes, alignment)];
      AsyncTransfer.fill(this.#context, token, file, from, to).queueAtTail(file.tail);
      return;
    }
    this.#run(token, 'other', file, (ops, done) => ops.allocate?.(file.handle, offset, bytes, done));
  }

  remove(token: IoToken, path: string): void {
    this.#run(token, 'other', undefined, (ops, done) => ops.remove(path, done));
  }

  syncDirectory(token: IoToken, path: string): void {
    this.#run(token, 'sync', undefined, (ops, done) => ops.syncDirectory(path, done));
  }

  #run(
    token: IoToken,
    kind: SubmissionKind,
    file: OpenFile<Handle> | undefined,
    call: (ops: AsyncFileOps<Handle>, done: Done) => void,
  ): void {
    this.#call(call, (result) => this.#submissions.finish(token, kind, result, file));
  }

  /** Calls an operation whose result is 0. Only its first answer counts, whether it calls back or throws. */
  #call(call: (ops: AsyncFileOps<Handle>, done: Done) => void, ended: (result: number) => void): void {
    let owed = true;
    const done: Done = (error) => {
      if (!owed) return;
      owed = false;
      ended(error ? errnoOf(error) : 0);
    };
    try {
      call(this.#ops, done);
    } catch (error) {
      done(error as Error);
    }
  }
}
