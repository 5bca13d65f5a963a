import { join } from 'node:path';
import { isCoreDirectoryName, WalError } from '@walstack/codec';
import { checkInteger } from '@walstack/codec/internal';
import type { StorageIo } from '@walstack/storage-io';

/** The largest id of a core: segment headers store the id plus one, in 32 bits. */
const CORE_ID_MAX = 0xffff_fffe;

/** @throws `TypeError`, `RangeError` with Node's codes */
export const checkCoreId = (name: string, coreId: unknown): number => checkInteger(name, coreId, 0, CORE_ID_MAX);

/** The directory of one core's log, in the directory of a per-core log. */
export const coreDirectory = (directory: string, coreId: number): string => join(directory, `core-${coreId}`);

/** Whether a directory exists. */
export function isThere(io: StorageIo, directory: string): boolean {
  try {
    io.list(directory);
    return true;
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return false;
    throw error;
  }
}

/** The cores that have a directory, in the order of their ids; none when the directory of the per-core log is missing. */
export function listCores(io: StorageIo, directory: string): number[] {
  let names: string[];
  try {
    names = io.list(directory);
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return [];
    throw error;
  }
  return names
    .filter(isCoreDirectoryName)
    .map((name) => Number(name.slice('core-'.length)))
    .filter((coreId) => coreId <= CORE_ID_MAX)
    .sort((a, b) => a - b);
}

/** Whether opening the log of a core has failed because there is none in its directory, but perhaps other files. */
export const isNoLog = (error: unknown): boolean =>
  WalError.is(error, 'WAL_NOT_FOUND') || WalError.is(error, 'WAL_FOREIGN_DIRECTORY');
