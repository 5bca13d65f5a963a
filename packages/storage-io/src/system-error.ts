import { getSystemErrorMap } from 'node:util';
import { errnoNamed } from './io-failure.js';

/** An error as `node:fs` throws it, for a backend that is no operating system. */
export function systemError(code: string, syscall: string, path?: string): NodeJS.ErrnoException {
  const errno = errnoNamed(code);
  const meaning = getSystemErrorMap().get(errno)?.[1] ?? code;
  const error = new Error(`${code}: ${meaning}, ${syscall}${path === undefined ? '' : ` '${path}'`}`);
  return Object.assign(error, { errno, code, syscall, ...(path === undefined ? {} : { path }) });
}
