import { errnoNamed, systemError } from '../../errors/system-error.js';

/** The kinds of operation on a disk. */
export type OperationKind =
  | 'open'
  | 'create'
  | 'list'
  | 'stat'
  | 'rename'
  | 'link'
  | 'make-directory'
  | 'read'
  | 'write'
  | 'durable-write'
  | 'datasync'
  | 'truncate'
  | 'allocate'
  | 'remove'
  | 'sync-directory';

/** One operation on a disk. */
export interface DiskOperation {
  /** Counted from 1 over all operations of the disk, of all processes. */
  readonly number: number;
  readonly kind: OperationKind;
  /** The path that was given, for an open file the one it was opened under. */
  readonly path: string;
}

/**
 * How an operation fails:
 *
 * - `'EIO'`: nothing is done;
 * - `'ENOSPC'`: nothing is done, because there is no space. The sync of a file has no space for what was written: that
 *   is lost, and read as if it had not been written. The sync of a directory leaves its names as they are, not durable;
 * - `'short-write'`: a part of the bytes is written, and then it is `EIO`;
 * - `'failing-sync'`: `EIO`, and what the sync should have made durable never will be, the file's size included: it is still
 *   read as it was written, a later sync that succeeds does not write it, and after a crash it may be gone;
 * - `'evicting-sync'`: the same, and some operations later the cache evicts these bytes: from then on they are read as
 *   they are on the disk;
 * - `'read-only'`: `EROFS`, for it and for all later operations that change something, as on a file system that has
 *   shut down. What was not synced never will be;
 * - `'broken'`: `EIO`, for it and for all later operations, reading included;
 * - `'full'`: `'ENOSPC'`, and the same for the next operations that need space; then there is space again. Names need
 *   theirs when they are given: the sync of a directory does not fail by it;
 * - `'flaky'`: `'EIO'`, a `'failing-sync'` where a file is synced, and the same for some of the next operations, reading included;
 * - `'killed'`: nothing is done, and the process is dead, as {@link SimulatedDisk.kill} leaves it.
 *
 * `'read-only'` and `'broken'` end with a power cut, `'full'` and `'flaky'` with a power cut or after up to 60
 * operations of any processes. `'short-write'` is plain `EIO` for operations that do not write, and so are the faults
 * of syncs for operations that do not sync a file.
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
  'link',
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

/** Whether an operation can have this fault on a real disk, and it differs from its other faults. */
export function canFail(operation: OperationKind, fault: FaultKind): boolean {
  switch (fault) {
    case 'EIO':
      return operation !== 'datasync';
    case 'ENOSPC':
      return operation === 'sync-directory' || TAKES_ROOM.includes(operation);
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

/** Whether a fault affects the whole disk, and so later operations as well. */
export const isLasting = (fault: FaultKind): fault is LastingFault =>
  fault === 'read-only' || fault === 'broken' || isPassing(fault);

/** Whether a fault of the whole disk is temporary. */
export const isPassing = (fault: FaultKind): boolean => fault === 'full' || fault === 'flaky';

/** The fault of one operation on a disk with a fault of the whole disk. */
export function singleFault(fault: FaultKind, operation: OperationKind): FaultKind {
  if (fault === 'full') return 'ENOSPC';
  if (fault !== 'flaky') return fault;
  return SYNCS.includes(operation) ? 'failing-sync' : 'EIO';
}

/** Whether what a sync of a file should have covered is lost with it. */
export const dropsBytes = (fault: FaultKind): boolean =>
  fault === 'failing-sync' || fault === 'evicting-sync' || fault === 'ENOSPC';

/** The name of the system error of a fault. */
export function codeOf(fault: FaultKind): 'EIO' | 'ENOSPC' | 'EROFS' {
  if (fault === 'ENOSPC' || fault === 'full') return 'ENOSPC';
  return fault === 'read-only' ? 'EROFS' : 'EIO';
}

/** An error as `node:fs` would throw it. */
export const diskError = (code: string, kind: string, path: string): Error => systemError(errnoNamed(code), kind, path);
