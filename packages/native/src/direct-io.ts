import { closeSync, constants, openSync } from 'node:fs';
import { invalidType } from './arguments.js';
import type { Binding } from './binding.js';
import { requireBinding } from './load.js';

/** What direct I/O of a file must be a multiple of, in bytes; powers of two. */
export interface DirectIoAlignment {
  /** Of the address of the memory. */
  readonly memory: number;
  /** Of the offset in the file and of the length. */
  readonly offset: number;
}

/**
 * What direct I/O of a file asks for, or `undefined` where there is none: on file systems that refuse it or live in
 * memory, for what is neither a file nor a block device, and on other platforms than Linux.
 *
 * The kernel says it since version 6.1, if the file system knows. Otherwise it is found out whether a direct read works,
 * and 4096 is the answer for both, which suits every usual disk.
 *
 * @param file - a path, or the number of an open file, however it was opened
 * @throws what `node:fs` throws for the file (`ENOENT`, `EBADF` …); `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError`
 * (`ERR_OUT_OF_RANGE`); `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the addon's binary
 */
export function directIoAlignment(file: string | number): DirectIoAlignment | undefined {
  const { directIoAlignment: ask } = requireBinding();
  if (typeof file === 'number') return alignmentOf(file, ask);
  if (typeof file !== 'string') throw invalidType('file', 'a path or a number', file);
  // Not to wait where the path is a pipe.
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
 * Turns direct I/O on for an open file: every read and write through `fd`, and through what was duplicated from it, goes
 * past the page cache from then on, and must be aligned as {@link directIoAlignment} says, or fails with `EINVAL`.
 *
 * @returns whether the file system lets it; `false` on other platforms than Linux
 * @throws `Error` with `code` `EBADF` …; `TypeError` (`ERR_INVALID_ARG_TYPE`), `RangeError` (`ERR_OUT_OF_RANGE`);
 * `Error` (`ERR_WALSTACK_NATIVE_UNAVAILABLE`) without the addon's binary
 */
export function useDirectIo(fd: number): boolean {
  const { useDirectIo: turnOn } = requireBinding();
  return turnOn?.(fd) ?? false;
}
