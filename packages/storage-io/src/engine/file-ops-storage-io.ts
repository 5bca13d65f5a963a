import { WalError } from '@walstack/codec';
import { checkInteger, checkOneOf, checkOptions, checkPathText, optionNames } from '@walstack/codec/internal';
import type { FileSystem } from '../backends/file-system.js';
import type { CompletionBuffer } from '../completion-buffer.js';
import { callFailure } from '../errors/io-failure.js';
import { callListener } from '../errors/uncaught.js';
import type {
  IoFile,
  IoStat,
  IoToken,
  OpenOptions,
  StorageIo,
  StorageIoCapabilities,
  StorageIoStats,
  WriteOptions,
} from '../storage-io.js';
import {
  checkAlignment,
  checkBytes,
  checkCompletionBuffer,
  checkMode,
  checkOffset,
  DIRECTORY_MODE_DEFAULT,
  durability,
  FILE_MODE_DEFAULT,
  misalignedMemory,
  openFlags,
} from './arguments.js';
import type { Executor } from './executor.js';
import type { FileNamespaceOps, FileOpsOptions } from './file-ops.js';
import { FileTable } from './files/file-table.js';
import type { OpenFile } from './files/open-file.js';
import { requireDone } from './require-done.js';
import { Submissions } from './submissions/submissions.js';

const PENDING_DEFAULT = 4096;
const PENDING_MAX = 1_048_576;
const TIMEOUT_MS_MAX = 0x7fff_ffff;

const LOCK_MODES = ['shared', 'exclusive'] as const;

const OPTIONS = optionNames<FileOpsOptions>({ maxPending: true });

/**
 * A whole backend over a small set of operations: it checks every argument, keeps the open files and the submissions,
 * and leaves the work itself to an {@link Executor}.
 */
export class FileOpsStorageIo<Handle> implements StorageIo {
  readonly name: string;
  readonly capabilities: StorageIoCapabilities;
  readonly #ops: FileNamespaceOps<Handle>;
  readonly #executor: Executor<Handle>;
  readonly #submissions: Submissions;
  readonly #files = new FileTable<Handle>();
  readonly #locks = new Set<() => void>();
  /** Memory allocated for direct I/O, and where in its `ArrayBuffer` the aligned part begins. */
  readonly #aligned = new WeakMap<ArrayBufferLike, number>();
  #directRefused = 0;
  /** Whether disposal has reached the point after which no completions are handed out. */
  #isDisposed = false;
  #disposal: Promise<void> | undefined;

  /** @param makeExecutor - makes the executor, which reports completions to the given `Submissions` */
  constructor(
    ops: FileNamespaceOps<Handle>,
    options: FileOpsOptions,
    makeExecutor: (submissions: Submissions) => Executor<Handle>,
  ) {
    checkOptions('options', options, OPTIONS);
    const maxPending = checkInteger('maxPending', options.maxPending ?? PENDING_DEFAULT, 1, PENDING_MAX);
    this.name = ops.name;
    this.#ops = ops;
    this.#submissions = new Submissions(maxPending);
    this.#executor = makeExecutor(this.#submissions);
    this.capabilities = Object.freeze({
      overlappedWrites: ops.overlappedWrites ?? false,
      durableWrites: this.#executor.durableWrites,
      completesInline: this.#executor.inline,
      canWait: this.#executor.canWait,
      realFiles: ops.realFiles,
      fileLocks: ops.lockFile !== undefined,
    });
  }

  get pending(): number {
    return this.#submissions.pending;
  }

  open(path: string, options?: OpenOptions): IoFile {
    this.#requireOpen();
    checkPathText('path', path);
    const asked = openFlags(options);
    const flags = { ...asked, direct: asked.direct && this.#ops.directAlignment !== undefined };
    return this.#call('open', path, () => {
      const handle = requireDone('open', this.#ops.open(path, flags));
      const alignment = flags.direct ? this.#directAlignment(handle) : 1;
      if (asked.direct && alignment === 1) this.#directRefused += 1;
      return this.#files.add(path, handle, alignment, flags.readOnly);
    });
  }

  close(file: IoFile): void {
    const open = this.#file(file);
    requireIdle(open, 'close');
    // Removed even if closing fails: the system may have freed the descriptor all the same.
    this.#files.remove(open);
    this.#call('close', file.path, () => this.#ops.close(open.handle));
  }

  size(file: IoFile): number {
    const open = this.#file(file);
    return this.#call('size', file.path, () => this.#ops.size(open.handle));
  }

  links(file: IoFile): number | undefined {
    const open = this.#file(file);
    return this.#call('links', file.path, () => this.#ops.links?.(open.handle));
  }

  list(directory: string): string[] {
    this.#requireOpen();
    checkPathText('directory', directory);
    return this.#call('list', directory, () => [...this.#ops.list(directory)].sort());
  }

  rename(from: string, to: string): void {
    this.#requireOpen();
    checkPathText('from', from);
    checkPathText('to', to);
    this.#call('rename', from, () => this.#ops.rename(from, to));
  }

  link(from: string, to: string): void {
    this.#requireOpen();
    checkPathText('from', from);
    checkPathText('to', to);
    this.#call('link', from, () => {
      if (this.#ops.link === undefined) throw this.#unsupported('link', 'has no hard links');
      this.#ops.link(from, to);
    });
  }

  makeDirectory(path: string, mode: number = DIRECTORY_MODE_DEFAULT): void {
    this.#requireOpen();
    checkPathText('path', path);
    checkMode('mode', mode);
    this.#call('makeDirectory', path, () => this.#ops.makeDirectory(path, mode));
  }

  stat(path: string): IoStat {
    this.#requireOpen();
    checkPathText('path', path);
    return this.#call('stat', path, () => this.#ops.stat(path));
  }

  fileSystem(path: string): FileSystem | undefined {
    this.#requireOpen();
    checkPathText('path', path);
    return this.#call('fileSystem', path, () => this.#ops.fileSystem?.(path));
  }

  lock(path: string, mode: number = FILE_MODE_DEFAULT): () => void {
    this.#requireOpen();
    checkPathText('path', path);
    checkMode('mode', mode);
    const free = this.#call('lock', path, () => this.#ops.lock(path, mode));
    const release = (): void => {
      if (this.#locks.delete(release)) this.#call('unlock', path, free);
    };
    this.#locks.add(release);
    return release;
  }

  lockFile(file: IoFile, mode: 'shared' | 'exclusive'): boolean {
    const open = this.#file(file);
    checkOneOf('mode', mode, LOCK_MODES);
    if (mode === 'exclusive') this.#files.getWritable(file);
    return this.#call('lockFile', file.path, () => {
      if (this.#ops.lockFile === undefined) throw this.#unsupported('lockFile', 'has no locks on files');
      return this.#ops.lockFile(open.handle, mode);
    });
  }

  submitWrite(file: IoFile, data: Uint8Array, offset: number, options?: WriteOptions): IoToken {
    const open = this.#writable(file);
    checkBytes('data', data);
    checkOffset(offset, data.length);
    const durable = durability(options, this.name, this.capabilities.durableWrites);
    if (file.direct) this.#checkAligned(file, data, offset);
    const token = this.#submissions.begin(open);
    this.#executor.write(token, open, data, offset, durable);
    return this.#submissions.end(token);
  }

  submitAppend(file: IoFile, data: Uint8Array): IoToken {
    const open = this.#writable(file);
    checkBytes('data', data);
    if (file.direct) this.#checkAligned(file, data, this.size(file));
    const token = this.#submissions.begin(open);
    this.#executor.append(token, open, data);
    return this.#submissions.end(token);
  }

  submitRead(file: IoFile, into: Uint8Array, offset: number): IoToken {
    const open = this.#file(file);
    checkBytes('into', into);
    checkOffset(offset, into.length);
    if (file.direct) this.#checkAligned(file, into, offset);
    const token = this.#submissions.begin(open);
    this.#executor.read(token, open, into, offset);
    return this.#submissions.end(token);
  }

  submitDatasync(file: IoFile): IoToken {
    const open = this.#file(file);
    const token = this.#submissions.begin(open);
    this.#executor.datasync(token, open);
    return this.#submissions.end(token);
  }

  submitSyncDirectory(path: string): IoToken {
    this.#requireOpen();
    checkPathText('path', path);
    const token = this.#submissions.begin(undefined);
    this.#executor.syncDirectory(token, path);
    return this.#submissions.end(token);
  }

  submitTruncate(file: IoFile, bytes: number): IoToken {
    const open = this.#writable(file);
    checkInteger('bytes', bytes);
    requireIdle(open, 'truncate');
    const token = this.#submissions.begin(open);
    this.#executor.truncate(token, open, bytes);
    return this.#submissions.end(token);
  }

  submitAllocate(file: IoFile, offset: number, bytes: number): IoToken {
    const open = this.#writable(file);
    checkInteger('bytes', bytes);
    checkOffset(offset, bytes);
    if (file.direct) checkAlignment(file, 0, this.size(file));
    const token = this.#submissions.begin(open);
    this.#executor.allocate(token, open, offset, bytes);
    return this.#submissions.end(token);
  }

  submitRemove(path: string): IoToken {
    this.#requireOpen();
    checkPathText('path', path);
    const token = this.#submissions.begin(undefined);
    this.#executor.remove(token, path);
    return this.#submissions.end(token);
  }

  flush(): number {
    this.#requireOpen();
    const { kernel } = this.#executor;
    return kernel === undefined ? 0 : this.#submissions.during(() => kernel.flush());
  }

  pollCompletions(out: CompletionBuffer): number {
    // What completes while the backend is being disposed of is still handed out.
    if (this.#isDisposed) this.#requireOpen();
    checkCompletionBuffer(out);
    const { kernel } = this.#executor;
    if (kernel !== undefined) this.#submissions.during(() => kernel.reap());
    return this.#submissions.poll(out);
  }

  waitCompletions(out: CompletionBuffer, minimum: number, timeoutMs?: number): number {
    this.#requireOpen();
    checkCompletionBuffer(out);
    checkInteger('minimum', minimum);
    if (timeoutMs !== undefined) checkInteger('timeoutMs', timeoutMs, 0, TIMEOUT_MS_MAX);
    if (!this.capabilities.canWait) {
      throw this.#unsupported('wait', 'cannot block its thread: use onReady, or a backend that can wait');
    }
    const wanted = Math.min(minimum, this.pending, out.tokens.length, out.results.length);
    this.#submissions.during(() => this.#executor.wait(wanted, timeoutMs));
    return this.#submissions.poll(out);
  }

  onReady(listener: (() => void) | undefined): void {
    this.#requireOpen();
    this.#submissions.ready.listen(listener);
  }

  allocateBuffer(bytes: number): Uint8Array {
    this.#requireOpen();
    checkInteger('bytes', bytes);
    if (this.#ops.allocateBuffer === undefined) return new Uint8Array(bytes);
    const memory = this.#ops.allocateBuffer(bytes);
    this.#aligned.set(memory.buffer, memory.byteOffset);
    return memory;
  }

  stats(): StorageIoStats {
    return this.#submissions.stats(this.#directRefused, this.#executor.kernel?.stats());
  }

  dispose(): Promise<void> {
    this.#disposal ??= this.#disposeOnce();
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #disposeOnce(): Promise<void> {
    await this.#submissions.idle();
    // A listener may take some at a time; one that takes none does not delay the end.
    for (let left = 0; this.#submissions.finished > 0 && this.#submissions.finished !== left; ) {
      left = this.#submissions.finished;
      callListener(() => this.#submissions.notify(), undefined);
    }
    this.#isDisposed = true;
    this.#submissions.ready.listen(undefined);
    this.#submissions.drop();
    this.#executor.kernel?.close();
    const failures: unknown[] = [];
    for (const open of this.#files.removeAll()) {
      attempt(failures, () => this.#call('close', open.io.path, () => this.#ops.close(open.handle)));
    }
    for (const release of [...this.#locks]) attempt(failures, release);
    if (failures.length > 0) throw failures[0];
  }

  /** The alignment of direct I/O; 1 where the file did not get it. On failure the handle is closed. */
  #directAlignment(handle: Handle): number {
    try {
      return checkInteger('directAlignment', this.#ops.directAlignment?.(handle) ?? 1, 1);
    } catch (error) {
      this.#ops.close(handle);
      throw error;
    }
  }

  /** @throws `WAL_CLOSED` */
  #requireOpen(): void {
    if (this.#disposal === undefined) return;
    throw new WalError('WAL_CLOSED', `this ${this.name} backend is disposed of: open another one`);
  }

  /** @throws `WAL_CLOSED`, `WAL_BAD_FD` */
  #file(file: IoFile): OpenFile<Handle> {
    this.#requireOpen();
    return this.#files.get(file);
  }

  /** @throws `WAL_CLOSED`, `WAL_BAD_FD` */
  #writable(file: IoFile): OpenFile<Handle> {
    this.#requireOpen();
    return this.#files.getWritable(file);
  }

  /** @throws `WAL_ALIGNMENT` */
  #checkAligned(file: IoFile, memory: Uint8Array, offset: number): void {
    checkAlignment(file, memory.length, offset);
    const start = this.#aligned.get(memory.buffer);
    if (start === undefined || (memory.byteOffset - start) % file.alignment !== 0) throw misalignedMemory(file);
  }

  /** Calls a plain operation: what it throws becomes a `WalError`. */
  #call<T>(operation: string, path: string, call: () => T): T {
    try {
      return requireDone(operation, this.#submissions.during(call));
    } catch (error) {
      throw callFailure(operation, path, error);
    }
  }

  #unsupported(operation: string, why: string): WalError {
    return new WalError('WAL_UNSUPPORTED', `the ${this.name} backend ${why}`, { operation });
  }
}

/** @throws `WAL_BUSY` */
function requireIdle(file: OpenFile<unknown>, operation: string): void {
  if (file.inFlight === 0) return;
  const { path } = file.io;
  throw new WalError(
    'WAL_BUSY',
    `${operation} of ${path}: ${file.inFlight} operations on it are in flight; wait for their completions first`,
    { path, operation, actual: file.inFlight },
  );
}

/** Runs a step, and keeps its failure instead of throwing it, so that the following steps run. */
function attempt(failures: unknown[], step: () => void): void {
  try {
    step();
  } catch (error) {
    failures.push(error);
  }
}
