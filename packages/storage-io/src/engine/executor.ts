import type { RingStats } from '@walstack/native';
import type { IoToken } from '../storage-io.js';
import type { OpenFile } from './files/open-file.js';

/**
 * Carries out what was submitted: the part in which blocking and asynchronous backends differ. All arguments were
 * checked before. No method throws, and each calls `Submissions.finish` for its token exactly once.
 */
export interface Executor<Handle> {
  /** Whether the work is done when a method returns, so that nothing is left to wait for. */
  readonly inline: boolean;
  readonly durableWrites: boolean;
  /** Whether {@link wait} works. */
  readonly canWait: boolean;
  /** Where submissions are handed over and completions reaped; without it every operation finishes by itself. */
  readonly kernel?: ExecutorKernel;
  /**
   * Blocks the thread until `wanted` completions wait to be polled, nothing is in flight any more, or the time has
   * passed.
   */
  wait(wanted: number, timeoutMs: number | undefined): void;
  write(token: IoToken, file: OpenFile<Handle>, data: Uint8Array, offset: number, durable: boolean): void;
  append(token: IoToken, file: OpenFile<Handle>, data: Uint8Array): void;
  read(token: IoToken, file: OpenFile<Handle>, into: Uint8Array, offset: number): void;
  datasync(token: IoToken, file: OpenFile<Handle>): void;
  truncate(token: IoToken, file: OpenFile<Handle>, bytes: number): void;
  allocate(token: IoToken, file: OpenFile<Handle>, offset: number, bytes: number): void;
  remove(token: IoToken, path: string): void;
  syncDirectory(token: IoToken, path: string): void;
}

/** The part of an {@link Executor} that submits operations to a kernel in batches, and reaps their completions. */
export interface ExecutorKernel {
  /** Submits what was queued, and returns how many operations those were. */
  flush(): number;
  /** Passes completions on to `Submissions`. */
  reap(): void;
  stats(): RingStats;
  /** Releases all resources. Called when nothing is in flight. */
  close(): void;
}
