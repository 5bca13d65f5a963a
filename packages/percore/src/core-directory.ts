import { dirname, join } from 'node:path';
import { checkInteger, isCoreDirectoryName, WalError } from '@walstack/codec';
import type { StorageIo } from '@walstack/storage-io';

/** The largest id of a core: it stands in the segment headers, one higher, in 32 bits. */
const MAXIMUM_CORE_ID = 0xffff_fffe;

/** @throws `TypeError`, `RangeError` with Node's codes */
export const checkCoreId = (name: string, coreId: unknown): number => checkInteger(name, coreId, 0, MAXIMUM_CORE_ID);

/** The directory of one core's log, in the directory of a per-core log. */
export const coreDirectory = (directory: string, coreId: number): string => join(directory, `core-${coreId}`);

/** The cores that have a directory, in the order of their ids; none where there is no directory. */
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
    .filter((coreId) => coreId <= MAXIMUM_CORE_ID)
    .sort((a, b) => a - b);
}

/** Makes a directory with its parents. The first log that is made in it makes all their names durable. */
export function makeDirectories(io: StorageIo, path: string): void {
  if (exists(io, path)) return;
  const parent = dirname(path);
  if (parent !== path) makeDirectories(io, parent);
  try {
    io.makeDirectory(path);
  } catch (error) {
    // Somebody else may have made it meanwhile.
    if (!WalError.is(error) || error.systemCode !== 'EEXIST') throw error;
  }
}

function exists(io: StorageIo, path: string): boolean {
  try {
    io.stat(path);
    return true;
  } catch (error) {
    if (WalError.is(error, 'WAL_NOT_FOUND')) return false;
    throw error;
  }
}
