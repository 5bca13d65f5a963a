import type { Executor } from './executor.js';
import type { SyncFileOps } from './file-ops.js';
import type { OpenFile } from './open-file.js';
import type { IoToken } from './storage-io.js';
import type { SubmissionKind, Submissions } from './submissions.js';
import { errnoOf } from './system-error.js';
import { Transfer } from './transfer.js';

/** Does the work inside the submission. */
export class SyncExecutor<Handle> implements Executor<Handle> {
  readonly inline = true;
  readonly #ops: SyncFileOps<Handle>;
  readonly #submissions: Submissions;

  constructor(ops: SyncFileOps<Handle>, submissions: Submissions) {
    this.#ops = ops;
    this.#submissions = submissions;
  }

  write(token: IoToken, file: OpenFile<Handle>, data: Uint8Array, offset: number, durable: boolean): void {
    const kind = durable ? 'durable-write' : 'write';
    this.#submissions.finish(token, kind, this.#carryOut(file.handle, Transfer.of(kind, data, offset)), file);
  }

  append(token: IoToken, file: OpenFile<Handle>, data: Uint8Array): void {
    this.#run(token, 'write', file, () =>
      this.#carryOut(file.handle, Transfer.of('write', data, this.#ops.size(file.handle))),
    );
  }

  read(token: IoToken, file: OpenFile<Handle>, into: Uint8Array, offset: number): void {
    this.#submissions.finish(token, 'read', this.#carryOut(file.handle, Transfer.of('read', into, offset)), file);
  }

  datasync(token: IoToken, file: OpenFile<Handle>): void {
    this.#run(token, 'sync', file, () => {
      this.#ops.datasync(file.handle);
      return 0;
    });
  }

  truncate(token: IoToken, file: OpenFile<Handle>, bytes: number): void {
    this.#run(token, 'other', file, () => {
      this.#ops.truncate(file.handle, bytes);
      return 0;
    });
  }

  allocate(token: IoToken, file: OpenFile<Handle>, offset: number, bytes: number): void {
    this.#run(token, 'other', file, () => {
      if (this.#ops.allocate !== undefined) {
        this.#ops.allocate(file.handle, offset, bytes);
        return 0;
      }
      const end = this.#ops.size(file.handle);
      return this.#carryOut(file.handle, Transfer.zeros(Math.max(end, offset), offset + bytes));
    });
  }

  remove(token: IoToken, path: string): void {
    this.#run(token, 'other', undefined, () => {
      this.#ops.remove(path);
      return 0;
    });
  }

  syncDirectory(token: IoToken, path: string): void {
    this.#run(token, 'sync', undefined, () => {
      this.#ops.syncDirectory(path);
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

  /** An operation whose result is what `work` returns, or what it throws. */
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
