import { constants } from 'node:os';
import { getSystemErrorMap } from 'node:util';
import { WalError } from '@walstack/codec';

/** `EUCLEAN`, by which Linux file systems report damage: neither libuv nor `node:os` has it. MIPS has another number. */
const DAMAGED: readonly (readonly [errno: number, name: string])[] =
  process.platform === 'linux' && !process.arch.startsWith('mips') ? [[-117, 'EUCLEAN']] : [];

/** Names and numbers of libuv; those that it does not have, `EDQUOT` among others, are the operating system's. */
const SYSTEM_ERRORS: readonly (readonly [errno: number, name: string])[] = [
  ...DAMAGED,
  ...Object.entries(constants.errno).map(([name, errno]) => [-errno, name] as const),
  ...[...getSystemErrorMap()].map(([errno, [name]]) => [errno, name] as const),
];
const NAMES: ReadonlyMap<number, string> = new Map(SYSTEM_ERRORS);
const NUMBERS: ReadonlyMap<string, number> = new Map(SYSTEM_ERRORS.map(([errno, name]) => [name, errno]));

/** libuv's number, negative, for an error thrown by `node:fs` or a `WalError`; that of `EIO` when it has none. */
export function errnoOf(error: unknown): number {
  if (WalError.is(error)) return errnoNamed(error.systemCode ?? 'EIO');
  const errno = (error as NodeJS.ErrnoException | undefined)?.errno;
  if (typeof errno === 'number' && Number.isInteger(errno) && errno < 0) return errno;
  return errnoNamed((error as NodeJS.ErrnoException | undefined)?.code ?? 'EIO');
}

/** libuv's number, negative, for a name such as `'EIO'`; that of `EIO` when this platform does not know the name. */
export function errnoNamed(name: string): number {
  return NUMBERS.get(name) ?? NUMBERS.get('EIO') ?? -5;
}

/** The name of a negative error number, such as `'EIO'`. */
export function nameOfErrno(errno: number): string {
  return NAMES.get(errno) ?? `errno ${-errno}`;
}

/** The name of an error thrown by `node:fs`, which has a number for each but not always a name. */
export function nameOfError(error: unknown): string {
  const { errno, code } = (error ?? {}) as NodeJS.ErrnoException;
  const name = errno === undefined ? undefined : NAMES.get(errno);
  return name ?? (typeof code === 'string' ? code : 'EIO');
}

/** An error like those that `node:fs` throws, for failures that no call of `node:fs` has thrown. */
export function systemError(errno: number, syscall: string, path?: string): NodeJS.ErrnoException {
  const code = nameOfErrno(errno);
  const meaning = getSystemErrorMap().get(errno)?.[1] ?? 'no more is known';
  const error = new Error(`${code}: ${meaning}, ${syscall}${path === undefined ? '' : ` '${path}'`}`);
  return Object.assign(error, { errno, code, syscall, ...(path === undefined ? {} : { path }) });
}
