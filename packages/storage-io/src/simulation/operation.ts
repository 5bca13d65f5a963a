import { errnoNamed, systemError } from '../system-error.js';

/** What is asked of a disk. */
export type OperationKind =
  | 'open'
  | 'create'
  | 'list'
  | 'stat'
  | 'rename'
  | 'make-directory'
  | 'read'
  | 'write'
  | 'durable-write'
  | 'datasync'
  | 'truncate'
  | 'allocate'
  | 'remove'
  | 'sync-directory';

/** One operation that a disk was asked for. */
export interface DiskOperation {
  /** Counted from 1 over the life of the disk, whoever asks. */
  readonly number: number;
  readonly kind: OperationKind;
  /** The path that was given, for an open file the one it was opened under. */
  readonly path: string;
}

/**
 * How an operation fails:
 *
 * - `'EIO'`: nothing is done;
 * - `'ENOSPC'`: nothing is done, for want of room;
 * - `'short-write'`: a part of the bytes is written, and then it is `EIO`;
 * - `'failing-sync'`: `EIO`, and what the sync should have made durable never will be: it is still read as it was
 *   written, a later sync that succeeds does not write it, and after a crash it may be gone.
 *
 * The last two are plain `EIO` for operations that write or sync nothing.
 */
export type FaultKind = 'EIO' | 'ENOSPC' | 'short-write' | 'failing-sync';

export const FAULT_KINDS: readonly FaultKind[] = ['EIO', 'ENOSPC', 'short-write', 'failing-sync'];

const TAKES_ROOM: readonly OperationKind[] = [
  'create',
  'rename',
  'make-directory',
  'write',
  'durable-write',
  'truncate',
  'allocate',
];
const WRITES: readonly OperationKind[] = ['write', 'durable-write'];
const SYNCS: readonly OperationKind[] = ['datasync', 'sync-directory'];

/** Whether an operation can fail like this on a real disk, and not the same as in another way. */
export function canFail(operation: OperationKind, fault: FaultKind): boolean {
  switch (fault) {
    case 'EIO':
      return !SYNCS.includes(operation);
    case 'ENOSPC':
      return TAKES_ROOM.includes(operation);
    case 'short-write':
      return WRITES.includes(operation);
    case 'failing-sync':
      return SYNCS.includes(operation) || operation === 'durable-write';
  }
}

/** The system's name for a fault. */
export const codeOf = (fault: FaultKind): 'EIO' | 'ENOSPC' => (fault === 'ENOSPC' ? 'ENOSPC' : 'EIO');

/** An error as `node:fs` would throw it. */
export const diskError = (code: string, kind: string, path: string): Error => systemError(errnoNamed(code), kind, path);
