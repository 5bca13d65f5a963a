import { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs';
import { type AsyncFileOps, fromAsyncFileOps, nodeFsNamespace, type StorageIo } from '@walstack/storage-io';

/** The operations that can be held and made to fail. */
export type Operation = 'read' | 'write' | 'writeDurable' | 'datasync' | 'truncate' | 'remove' | 'syncDirectory';

type Answer = (error?: Error | null, count?: number) => void;

/**
 * Real files behind a backend whose operations run, or fail, when the test decides. The test waits for an operation to
 * arrive, not for time to pass.
 */
export class StepDisk {
  readonly io: StorageIo;
  /** Operations in the order in which they were asked for. */
  readonly calls: Operation[] = [];
  /** Files that are open. */
  openFiles = 0;
  /** Whether there is no room for a new file; what exists can be written over. */
  full = false;
  readonly #held = new Map<Operation, (() => void)[]>();
  /** The kinds of operations that wait only with their results. */
  readonly #withResult = new Set<Operation>();
  readonly #failures = new Map<Operation, string>();
  readonly #expected = new Map<Operation, (() => void)[]>();

  /**
   * @param durableWrites - whether the backend can write durably
   * @param realFiles - whether sealed segments may be read through mappings, without operations of the disk
   */
  constructor(durableWrites = false, realFiles = true) {
    this.io = fromAsyncFileOps({ ...this.#operations(durableWrites), realFiles });
  }

  /** From now on, operations of this kind wait. */
  hold(operation: Operation): void {
    if (!this.#held.has(operation)) this.#held.set(operation, []);
  }

  /** From now on, operations of this kind are carried out, and their results wait. */
  holdResults(operation: Operation): void {
    this.hold(operation);
    this.#withResult.add(operation);
  }

  /** Resolves when an operation of this kind waits. */
  async held(operation: Operation): Promise<void> {
    if ((this.#held.get(operation)?.length ?? 0) > 0) return;
    await new Promise<void>((resolve) => {
      this.#expected.set(operation, [...(this.#expected.get(operation) ?? []), resolve]);
    });
  }

  /** Carries out the first operation that waits; those that come later still wait. */
  release(operation: Operation): void {
    const carryOut = this.#held.get(operation)?.shift();
    if (carryOut === undefined) throw new Error(`no ${operation} waits`);
    carryOut();
  }

  /** Carries out all operations that wait; those that come later do not wait any more. */
  releaseAll(operation: Operation): void {
    const waiting = this.#held.get(operation) ?? [];
    this.#held.delete(operation);
    this.#withResult.delete(operation);
    for (const carryOut of waiting) carryOut();
  }

  /** Operations of this kind fail from now on. */
  fail(operation: Operation, code: string): void {
    this.#failures.set(operation, code);
  }

  /** Ends all failures. */
  heal(): void {
    this.#failures.clear();
  }

  #operations(durableWrites: boolean): AsyncFileOps<number> {
    const write = (fd: number, data: Uint8Array, at: number): number => writeSync(fd, data, 0, data.length, at);
    const ops: AsyncFileOps<number> = {
      ...nodeFsNamespace,
      name: 'step-disk',
      open: (path, flags) => {
        if (this.full && flags.create) throw failureNamed('ENOSPC');
        const fd = nodeFsNamespace.open(path, flags);
        this.openFiles++;
        return fd;
      },
      close: (fd) => {
        nodeFsNamespace.close(fd);
        this.openFiles--;
      },
      read: (fd, into, at, done) => this.#step('read', done, () => readSync(fd, into, 0, into.length, at)),
      write: (fd, data, at, done) => this.#step('write', done, () => write(fd, data, at)),
      datasync: (fd, done) => this.#step('datasync', done, () => fdatasyncSync(fd)),
      truncate: (fd, bytes, done) => this.#step('truncate', done, () => ftruncateSync(fd, bytes)),
      remove: (path, done) => this.#step('remove', done, () => unlinkSync(path)),
      syncDirectory: (path, done) => this.#step('syncDirectory', done, () => syncDirectory(path)),
    };
    if (!durableWrites) return ops;
    return {
      ...ops,
      writeDurable: (fd, data, at, done) =>
        this.#step('writeDurable', done, () => {
          const count = write(fd, data, at);
          fdatasyncSync(fd);
          return count;
        }),
    };
  }

  #step(operation: Operation, done: Answer, work: () => unknown): void {
    this.calls.push(operation);
    /** @returns a function that reports the result */
    const carryOut = (): (() => void) => {
      const code = this.#failures.get(operation);
      if (code !== undefined) return () => done(failureNamed(code));
      const count = work();
      return () => done(null, typeof count === 'number' ? count : 0);
    };
    const held = this.#held.get(operation);
    if (held === undefined) {
      carryOut()();
      return;
    }
    held.push(this.#withResult.has(operation) ? carryOut() : () => carryOut()());
    const expecting = this.#expected.get(operation) ?? [];
    this.#expected.delete(operation);
    for (const resolve of expecting) resolve();
  }
}

const failureNamed = (code: string): Error => Object.assign(new Error(`${code}: as the test wants it`), { code });

function syncDirectory(path: string): void {
  const fd = openSync(path, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
