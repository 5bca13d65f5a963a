import { closeSync, constants, openSync } from 'node:fs';
import { invalidType } from './arguments.js';
import type { Binding } from './binding.js';
import { requireBinding } from './load.js';

/** The alignment that direct I/O of a file needs, in bytes; powers of two. */
export interface DirectIoAlignment {
  /** Of the address of the memory. */
  readonly memory: number;
  /** Of the offset in the file and of the length. */
  readonly offset: number;
}

/**
 * The alignment for direct I/O of a file, or `undefined` where there is none: on file systems that refuse it or are in
 * memory, for anything but a file or a block device, and on platforms other than Linux.
 *
 * The kernel reports it since version 6.1, if the file system supports that. Otherwise a direct read is tried, and if
 * it works both are 4096, which is enough for every usual disk.
 *
 * @param file - a path, or the number of an open file, however it was opened
 * @throws what `node:fs` throws for the file (`ENOENT`, `EBADF` …); `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError`
 * (`ERR_OUT_OF_RANGE`); `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the addon's binary
 */
export function directIoAlignment(file: string | number): DirectIoAlignment | undefined {
  const { directIoAlignment: ask } = requireBinding();
  if (typeof file === 'number') return alignmentOf(file, ask);
  if (typeof file !== 'string') throw invalidType('file', 'a path or a number', file);
  // Opening a pipe must not block.
  const fd = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    return alignmentOf(fd, ask);
  } finally {
    closeSync(fd);
  }
}

function alignmentOf(fd: number, ask: Binding['directIoAlignment']): DirectIoAlignment | undefined {
  const out = new Uint32Array(2);
  if (ask === undefined || !ask(fd, out)) return undefined;
  const [memory = 0, offset = 0] = out;
  return Object.freeze({ memory, offset });
}

/**
 * Turns direct I/O on for an open file: every read and write through `fd`, and through what was duplicated from it,
 * bypasses the page cache from then on, and must be aligned as {@link directIoAlignment} returns, or fails with
 * `EINVAL`.
 *
 * @returns whether the file system supports it; `false` on platforms other than Linux
 * @throws `Error` with `code` `EBADF` …; `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`);
 * `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the addon's binary
 */
export function useDirectIo(fd: number): boolean {
  const { useDirectIo: turnOn } = requireBinding();
  return turnOn?.(fd) ?? false;
}
