import type { RingStats } from '@walstack/native';
import type { IoToken } from '../storage-io.js';
import type { OpenFile } from './open-file.js';

/**
 * Carries out what was submitted: the half in which blocking and calling back differ. Every argument was checked before.
 * No method throws, and each ends its token in `Submissions.finish` exactly once.
 */
export interface Executor<Handle> {
  /** Whether everything is done when a method returns, so that nothing is left to wait for. */
  readonly inline: boolean;
  readonly durableWrites: boolean;
  /** Whether {@link wait} works. */
  readonly canWait: boolean;
  /** Where what was submitted is handed over and taken back; without it every operation finishes by itself. */
  readonly kernel?: ExecutorKernel;
  /**
   * Blocks the thread until `wanted` submissions in all have completed and wait to be polled, nothing is under way any
   * more, or the time has passed.
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

/** The other side of an {@link Executor} that hands operations over in batches, and has to fetch what came back. */
export interface ExecutorKernel {
  /** Hands over what was queued, and returns how many operations that were. */
  flush(): number;
  /** Has `Submissions` gather what has come back. */
  take(): void;
  stats(): RingStats;
  /** Gives everything back. Nothing is in flight. */
  close(): void;
}
