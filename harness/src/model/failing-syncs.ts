import { WalError } from '@walstack/codec';
import type { FaultKind, SimulatedDisk } from '@walstack/storage-io/simulation';

/** Has whatever makes file data durable, or names, fail in this way while something is done. */
export async function whileSyncsFail(
  disks: readonly SimulatedDisk[],
  fault: FaultKind,
  work: () => Promise<void>,
): Promise<void> {
  for (const disk of disks) disk.failWhen(({ kind }) => (/sync|durable/.test(kind) ? fault : undefined));
  await work().catch(() => {});
  for (const disk of disks) disk.failWhen(undefined);
}

/** Whether a log has failed because its disk has. */
export const isOfDisk = (error: unknown): boolean =>
  WalError.is(error, 'WAL_NO_SPACE') || WalError.is(error, 'WAL_IO_FAILED');

/** @throws the error, unless a log has failed because its disk has */
export function throwUnlessOfDisk(error: unknown): void {
  if (!isOfDisk(error)) throw error;
}
