import { isUint8Array } from 'node:util/types';
import { WalError } from '@walstack/codec';
import {
  checkBoolean,
  checkInteger,
  checkOptions,
  invalidType,
  optionNames,
  outOfRange,
} from '@walstack/codec/internal';
import type { CompletionBuffer } from '../completion-buffer.js';
import type { IoFile, OpenOptions, WriteOptions } from '../storage-io.js';
import type { OpenFlags } from './file-ops.js';

/** The result of a transfer is a 32-bit integer, so no transfer is longer. */
const TRANSFER_BYTES_MAX = 0x7fff_ffff;

const OPEN_OPTIONS = optionNames<OpenOptions>({
  create: true,
  exclusive: true,
  direct: true,
  truncate: true,
  readOnly: true,
  mode: true,
});

/** The permissions of what is made, where none are given: those of the owner only. */
export const FILE_MODE_DEFAULT = 0o600;
export const DIRECTORY_MODE_DEFAULT = 0o700;
const WRITE_OPTIONS = optionNames<WriteOptions>({ durable: true });

/** Returns `value` when it is a `Uint8Array`, of any realm, that one transfer can move. */
export function checkBytes(name: string, value: unknown): Uint8Array {
  if (!isUint8Array(value)) throw invalidType(name, 'a Uint8Array', value);
  if (value.length > TRANSFER_BYTES_MAX) {
    throw outOfRange(`${name}.length`, `an integer from 0 to ${TRANSFER_BYTES_MAX}`, value.length);
  }
  return value;
}

/** Returns `offset` when `offset + bytes` is a safe integer. */
export function checkOffset(offset: unknown, bytes: number): number {
  return checkInteger('offset', offset, 0, Number.MAX_SAFE_INTEGER - bytes);
}

/** The flags for opening a file, with defaults filled in. */
export function openFlags(options: OpenOptions | undefined): OpenFlags {
  if (options !== undefined) checkOptions('options', options, OPEN_OPTIONS);
  const create = chosen(options?.create, 'options.create');
  const truncate = chosen(options?.truncate, 'options.truncate');
  const readOnly = chosen(options?.readOnly, 'options.readOnly');
  if (readOnly && (create || truncate)) {
    throw outOfRange('options.readOnly', 'false where create or truncate is true', readOnly);
  }
  return {
    create,
    exclusive: chosen(options?.exclusive, 'options.exclusive') && create,
    direct: chosen(options?.direct, 'options.direct'),
    truncate,
    readOnly,
    mode: checkMode('options.mode', options?.mode ?? FILE_MODE_DEFAULT),
  };
}

/** Returns `mode` when it is the permissions of a file or directory. */
export function checkMode(name: string, mode: unknown): number {
  return checkInteger(name, mode, 0, 0o777);
}

/** Returns `mode` when it gives the owner at least the permissions that a log needs for its own files. */
export function checkOwnMode(name: string, mode: unknown, needed: number): number {
  const checked = checkMode(name, mode);
  if ((checked & needed) !== needed) throw outOfRange(name, `0o${needed.toString(8)} and any further bits`, mode);
  return checked;
}

/** Whether a write is to be durable. @throws `WAL_UNSUPPORTED` when it is and the backend has no durable writes */
export function durability(options: WriteOptions | undefined, backend: string, possible: boolean): boolean {
  if (options === undefined) return false;
  checkOptions('options', options, WRITE_OPTIONS);
  if (!chosen(options.durable, 'options.durable')) return false;
  if (possible) return true;
  throw new WalError('WAL_UNSUPPORTED', `the ${backend} backend has no durable writes: write, then datasync`, {
    operation: 'write',
  });
}

/** @throws `WAL_ALIGNMENT` unless direct I/O of this file can move `bytes` at `offset` */
export function checkAlignment(file: IoFile, bytes: number, offset: number): void {
  if (bytes % file.alignment === 0 && offset % file.alignment === 0) return;
  throw misaligned(file, `${bytes} bytes at ${offset} are not`, offset);
}

/** The error for memory that direct I/O of this file cannot use. */
export function misalignedMemory(file: IoFile): WalError {
  return misaligned(file, 'the memory is not, or does not come from allocateBuffer,', undefined);
}

function misaligned(file: IoFile, what: string, offset: number | undefined): WalError {
  return new WalError(
    'WAL_ALIGNMENT',
    `direct I/O of ${file.path} needs multiples of ${file.alignment}, and ${what}: align offset, length and memory`,
    { path: file.path, limit: file.alignment, ...(offset === undefined ? {} : { offset }) },
  );
}

/** Returns `value` when it can receive completions; one made by another copy of this package is accepted, too. */
export function checkCompletionBuffer(value: CompletionBuffer): CompletionBuffer {
  if (!(value?.tokens instanceof Float64Array) || !(value.results instanceof Int32Array)) {
    throw invalidType('out', 'a CompletionBuffer', value);
  }
  return value;
}

const chosen = (value: boolean | undefined, name: string): boolean =>
  value === undefined ? false : checkBoolean(name, value);
