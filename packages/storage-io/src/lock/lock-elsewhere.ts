import { fstatSync, futimesSync, readdirSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import type { LockHolder } from './lock-holder.js';
import { procIsOwn } from './process-liveness.js';

/** Times that no file has by itself, in whole and even seconds, which every file system keeps. */
const FIRST_SECOND = 200_000_000;
const SECONDS = 1_000_000_000;

/**
 * Whether the lock file that is open here is the one that a live holder has open, seen by another mount (a FUSE mount or an
 * overlay of its directory), from which a lock of the kernel does not reach here. A copy of the holder's file names the holder
 * as well. So the time of the file here is changed, and what the holder has open is looked at: only the same file shows it.
 *
 * @returns `false` also where that cannot be found out
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

/** Whether a process has another file of this name open that was changed at a time. */
function showsTime(path: string, fd: number, pid: number, seconds: number): boolean {
  const here = fstatSync(fd, { bigint: true });
  const files = `/proc/${pid}/fd`;
  return readdirSync(files).some((each) => {
    try {
      const file = `${files}/${each}`;
      if (basename(readlinkSync(file)) !== basename(path)) return false;
      const there = statSync(file, { bigint: true });
      // By the same mount the kernel has excluded it: then it is this process's own.
      return there.mtimeNs === BigInt(seconds) * 1_000_000_000n && (there.dev !== here.dev || there.ino !== here.ino);
    } catch {
      // It was closed just now.
      return false;
    }
  });
}
