import { errnoNamed, systemError } from '../errors/system-error.js';

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
 * - `'ENOSPC'`: nothing is done, for want of room. The sync of a file finds no room for what was written: that is lost, and
 *   read as if it had not been written;
 * - `'short-write'`: a part of the bytes is written, and then it is `EIO`;
 * - `'failing-sync'`: `EIO`, and what the sync should have made durable never will be, the file's size included: it is still
 *   read as it was written, a later sync that succeeds does not write it, and after a crash it may be gone;
 * - `'evicting-sync'`: the same, and some operations later the cache gives up these bytes: from then on they are read as the
 *   disk has them;
 * - `'read-only'`: `EROFS`, for it and for all later operations that change something: the file system has given up. What
 *   was not synced never will be;
 * - `'broken'`: `EIO`, for it and for all later operations, reading included;
 * - `'full'`: `'ENOSPC'`, and the same for whatever takes room among the next operations; then there is room again;
 * - `'flaky'`: `'EIO'`, a `'failing-sync'` where a file is synced, and the same for some of the next operations, reading included;
 * - `'killed'`: nothing is done, and the process is dead, as {@link SimulatedDisk.kill} leaves it.
 *
 * `'read-only'` and `'broken'` end when the power goes, `'full'` and `'flaky'` then or after a while of up to 60 operations,
 * whichever process asks for them. `'short-write'` is plain `EIO` for what writes nothing, and so are the two of syncs for what
 * syncs no file.
 */
export type FaultKind =
  | 'EIO'
  | 'ENOSPC'
  | 'short-write'
  | 'failing-sync'
  | 'evicting-sync'
  | 'read-only'
  | 'broken'
  | 'full'
  | 'flaky'
  | 'killed';

export const FAULT_KINDS: readonly FaultKind[] = [
  'EIO',
  'ENOSPC',
  'short-write',
  'failing-sync',
  'evicting-sync',
  'read-only',
  'broken',
  'full',
  'flaky',
  'killed',
];

const TAKES_ROOM: readonly OperationKind[] = [
  'create',
  'rename',
  'make-directory',
  'write',
  'durable-write',
  'truncate',
  'allocate',
  'datasync',
];
const WRITES: readonly OperationKind[] = ['write', 'durable-write'];
const SYNCS: readonly OperationKind[] = ['datasync', 'durable-write'];
const LOOKS: readonly OperationKind[] = ['open', 'list', 'stat', 'read'];

/** Whether an operation can fail like this on a real disk, and not the same as in another way. */
export function canFail(operation: OperationKind, fault: FaultKind): boolean {
  switch (fault) {
    case 'EIO':
      return operation !== 'datasync';
    case 'ENOSPC':
    case 'full':
      return TAKES_ROOM.includes(operation);
    case 'short-write':
      return WRITES.includes(operation);
    case 'failing-sync':
    case 'evicting-sync':
      return SYNCS.includes(operation);
    case 'read-only':
    case 'broken':
    case 'flaky':
    case 'killed':
      return !LOOKS.includes(operation);
  }
}

/** A fault of the whole disk. */
export type LastingFault = 'read-only' | 'broken' | 'full' | 'flaky';

/** Whether a fault is one of the whole disk, which later operations meet as well. */
export const isLasting = (fault: FaultKind): fault is LastingFault =>
  fault === 'read-only' || fault === 'broken' || isPassing(fault);

/** Whether a fault is one of the whole disk that ends by itself. */
export const isPassing = (fault: FaultKind): boolean => fault === 'full' || fault === 'flaky';

/** What a fault of the whole disk is for one of the operations that meet it. */
export function singleFault(fault: FaultKind, operation: OperationKind): FaultKind {
  if (fault === 'full') return 'ENOSPC';
  if (fault !== 'flaky') return fault;
  return SYNCS.includes(operation) ? 'failing-sync' : 'EIO';
}

/** Whether what a sync of a file should have covered is lost with it. */
export const dropsBytes = (fault: FaultKind): boolean =>
  fault === 'failing-sync' || fault === 'evicting-sync' || fault === 'ENOSPC';

/** The system's name for a fault. */
export function codeOf(fault: FaultKind): 'EIO' | 'ENOSPC' | 'EROFS' {
  if (fault === 'ENOSPC' || fault === 'full') return 'ENOSPC';
  return fault === 'read-only' ? 'EROFS' : 'EIO';
}

/** An error as `node:fs` would throw it. */
export const diskError = (code: string, kind: string, path: string): Error => systemError(errnoNamed(code), kind, path);
