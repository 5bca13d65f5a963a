import { errnoOf } from '../errors/system-error.js';
import type { IoToken } from '../storage-io.js';
import type { Executor } from './executor.js';
import type { SyncFileOps } from './file-ops.js';
import type { OpenFile } from './files/open-file.js';
import { requireDone } from './require-done.js';
import type { SubmissionKind, Submissions } from './submissions/submissions.js';
import { Transfer } from './transfers/transfer.js';
import { roundDown, roundUp, Zeros } from './transfers/zeros.js';

/** Carries out the work inside the submission. */
export class SyncExecutor<Handle> implements Executor<Handle> {
  readonly inline = true;
  readonly canWait = true;
  readonly durableWrites: boolean;
  readonly #ops: SyncFileOps<Handle>;
  readonly #zeros: Zeros;
  readonly #submissions: Submissions;

  constructor(ops: SyncFileOps<Handle>, submissions: Submissions) {
    this.durableWrites = ops.writeDurable !== undefined;
    this.#ops = ops;
    this.#zeros = new Zeros(ops);
    this.#submissions = submissions;
  }

  /** Nothing is ever in flight. */
  wait(): void {}

  write(token: IoToken, file: OpenFile<Handle>, data: Uint8Array, offset: number, durable: boolean): void {
    const kind = durable ? 'durable-write' : 'write';
    const transfer = Transfer.of(kind, data, offset, file.io.alignment);
    this.#submissions.finish(token, kind, this.#carryOut(file.handle, transfer), file);
  }

  append(token: IoToken, file: OpenFile<Handle>, data: Uint8Array): void {
    this.#run(token, 'write', file, () =>
      this.#carryOut(file.handle, Transfer.of('write', data, this.#ops.size(file.handle), file.io.alignment)),
    );
  }

  read(token: IoToken, file: OpenFile<Handle>, into: Uint8Array, offset: number): void {
    const transfer = Transfer.of('read', into, offset, file.io.alignment);
    this.#submissions.finish(token, 'read', this.#carryOut(file.handle, transfer), file);
  }

  datasync(token: IoToken, file: OpenFile<Handle>): void {
    this.#run(token, 'sync', file, () => {
      requireDone('datasync', this.#ops.datasync(file.handle));
      return 0;
    });
  }

  truncate(token: IoToken, file: OpenFile<Handle>, bytes: number): void {
    this.#run(token, 'other', file, () => {
      requireDone('truncate', this.#ops.truncate(file.handle, bytes));
      return 0;
    });
  }

  allocate(token: IoToken, file: OpenFile<Handle>, offset: number, bytes: number): void {
    this.#run(token, 'other', file, () => {
      if (this.#ops.allocate !== undefined) {
        requireDone('allocate', this.#ops.allocate(file.handle, offset, bytes));
        return 0;
      }
      const { alignment } = file.io;
      const from = Math.max(this.#ops.size(file.handle), roundDown(offset, alignment));
      const to = roundUp(offset + bytes, alignment);
      return this.#carryOut(file.handle, Transfer.fill(from, to, this.#zeros.for(file.io), alignment));
    });
  }

  remove(token: IoToken, path: string): void {
    this.#run(token, 'other', undefined, () => {
      requireDone('remove', this.#ops.remove(path));
      return 0;
    });
  }

  syncDirectory(token: IoToken, path: string): void {
    this.#run(token, 'sync', undefined, () => {
      requireDone('syncDirectory', this.#ops.syncDirectory(path));
      return 0;
    });
  }

  #carryOut(handle: Handle, transfer: Transfer): number {
    let result = transfer.empty ? 0 : undefined;
    while (result === undefined) {
      try {
        result = transfer.advance(this.#piece(handle, transfer));
      } catch (error) {
        result = transfer.fail(error);
      }
    }
    return result;
  }

  #piece(handle: Handle, transfer: Transfer): number {
    const { kind, rest, position } = transfer;
    if (kind === 'read') return this.#ops.read(handle, rest, position);
    if (kind === 'durable-write' && this.#ops.writeDurable !== undefined) {
      return this.#ops.writeDurable(handle, rest, position);
    }
    return this.#ops.write(handle, rest, position);
  }

  /** Runs an operation whose result is what `work` returns, or the error number of what it throws. */
  #run(token: IoToken, kind: SubmissionKind, file: OpenFile<Handle> | undefined, work: () => number): void {
    let result: number;
    try {
      result = work();
    } catch (error) {
      result = errnoOf(error);
    }
    this.#submissions.finish(token, kind, result, file);
  }
}
