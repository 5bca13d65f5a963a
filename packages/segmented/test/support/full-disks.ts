import type { SimulatedDisk, SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { expect } from 'vitest';

/** A backend with groups side by side, each of which is one durable write. */
export const RING = {
  completesInline: false,
  overlappedWrites: true,
  durableWrites: true,
  directAlignment: 512,
} as const satisfies SimulatedIoOptions;

/** Like the error for a disk without room. */
export const NO_SPACE: unknown = expect.objectContaining({ code: 'WAL_NO_SPACE' });

/** From now on there is room for so many bytes more. */
export function fill(disk: SimulatedDisk, bytes = 0): void {
  disk.capacityBytes = disk.usedBytes + bytes;
}

/** From now on there is room. */
export function empty(disk: SimulatedDisk): void {
  disk.capacityBytes = Number.POSITIVE_INFINITY;
}
