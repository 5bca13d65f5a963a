import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  mkdirSync,
  openSync,
  type Stats,
  statSync,
} from 'node:fs';
import { nameOfError } from '../../errors/system-error.js';

/** The bits of `Stats.mode` that are permissions. */
const PERMISSIONS = 0o777;

/** The errors of file systems without permissions, and of those that do not let their user change them. */
const NO_PERMISSIONS: readonly string[] = ['EPERM', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP'];

/** Whether the platform has permissions as they are meant here. */
const HAS_PERMISSIONS = process.platform !== 'win32';

/** The permissions of a file or directory; `undefined` on a platform that has none. */
export const modeOf = ({ mode }: Stats): number | undefined => (HAS_PERMISSIONS ? mode & PERMISSIONS : undefined);

/** Opens a file for reading and writing, and makes it with these permissions when it is missing. */
export function openOrCreate(path: string, flags: number, mode: number): number {
  const bits = flags | constants.O_RDWR;
  if ((flags & constants.O_EXCL) !== 0) return create(path, bits, mode);
  // Twice, as the file may be made between the two calls.
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      return openSync(path, bits);
    } catch (error) {
      if (nameOfError(error) !== 'ENOENT') throw error;
    }
    try {
      return create(path, bits | constants.O_EXCL, mode);
    } catch (error) {
      if (nameOfError(error) !== 'EEXIST') throw error;
    }
  }
  // A symbolic link whose target is missing.
  return create(path, bits, mode);
}

/** Makes a directory with these permissions. */
export function makeDirectory(path: string, mode: number): void {
  mkdirSync(path, mode);
  setMode(statSync(path), mode, (exactly) => chmodSync(path, exactly));
}

function create(path: string, bits: number, mode: number): number {
  const fd = openSync(path, bits | constants.O_CREAT, mode);
  try {
    setMode(fstatSync(fd), mode, (exactly) => fchmodSync(fd, exactly));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/**
 * Gives what was made the permissions that the umask has taken away. Where the file system has none of its own, and refuses
 * to change them, those that it shows stay.
 */
function setMode(stats: Stats, mode: number, change: (exactly: number) => void): void {
  if (!HAS_PERMISSIONS || modeOf(stats) === mode) return;
  try {
    change((stats.mode & 0o7000) | mode);
  } catch (error) {
    if (!NO_PERMISSIONS.includes(nameOfError(error))) throw error;
  }
}
