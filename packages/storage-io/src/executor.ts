import type { OpenFile } from './open-file.js';
import type { IoToken } from './storage-io.js';

/**
 * Carries out what was submitted: the half in which blocking and calling back differ. Every argument was checked before.
 * No method throws, and each ends its token in `Submissions.finish` exactly once.
 */
export interface Executor<Handle> {
  /** Whether everything is done when a method returns, so that nothing is left to wait for. */
  readonly inline: boolean;
  write(token: IoToken, file: OpenFile<Handle>, data: Uint8Array, offset: number, durable: boolean): void;
  append(token: IoToken, file: OpenFile<Handle>, data: Uint8Array): void;
  read(token: IoToken, file: OpenFile<Handle>, into: Uint8Array, offset: number): void;
  datasync(token: IoToken, file: OpenFile<Handle>): void;
  truncate(token: IoToken, file: OpenFile<Handle>, bytes: number): void;
  allocate(token: IoToken, file: OpenFile<Handle>, offset: number, bytes: number): void;
  remove(token: IoToken, path: string): void;
  syncDirectory(token: IoToken, path: string): void;
}
