import { fstatSync, futimesSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { LockHolder } from './lock-holder.js';
import { procIsOwn } from './process-liveness.js';

/** Modification times that no file normally has, in whole and even seconds, which every file system stores exactly. */
const FIRST_SECOND = 200_000_000;
const SECONDS = 1_000_000_000;

/**
 * Whether the lock file that is open here is the same file that a live holder has open through another mount (a FUSE
 * mount or an overlay of its directory): the kernel's lock does not reach across such mounts. A copy of the file names
 * the holder as well. So the modification time of the file here is changed, and the files that the holder has open are
 * looked at through `/proc`: only the same file shows the new time.
 *
 * @returns `false` also where this cannot be found out
 */
export function isHeldElsewhere(path: string, fd: number, holder: LockHolder): boolean {
  if (!procIsOwn()) return false;
  try {
    const { atime, mtime } = fstatSync(fd);
    const mark = FIRST_SECOND + 2 * Math.floor(Math.random() * (SECONDS / 2));
    futimesSync(fd, atime, mark);
    try {
      return showsTime(path, fd, holder.pid, mark);
    } finally {
      futimesSync(fd, atime, mtime);
    }
  } catch {
    return false;
  }
}

/** Whether a process has a file of this name open through another mount, with this modification time. */
function showsTime(path: string, fd: number, pid: number, seconds: number): boolean {
  const here = fstatSync(fd, { bigint: true });
  const files = `/proc/${pid}/fd`;
  return readdirSync(files).some((each) => {
    try {
      const file = `${files}/${each}`;
      if (basename(readlinkSync(file)) !== basename(path)) return false;
      const there = statSync(file, { bigint: true });
      // Through the same mount the kernel's lock has excluded other holders: then it is this process's own.
      return there.mtimeNs === BigInt(seconds) * 1_000_000_000n && (there.dev !== here.dev || there.ino !== here.ino);
    } catch {
      // It was closed just now.
      return false;
    }
  });
}
