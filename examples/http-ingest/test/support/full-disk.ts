import { SimulatedDisk } from '@walstack/storage-io/simulation';
import type { IngestOptions } from '../../src/ingest.js';

/** A disk in memory, and options of a server whose log is on it and needs room for every block. */
export function onSimulatedDisk(directory: string): {
  readonly disk: SimulatedDisk;
  readonly options: () => IngestOptions;
} {
  const disk = new SimulatedDisk();
  const options = (): IngestOptions => ({
    directory,
    logDirectory: '/log',
    sampleMs: 50,
    log: { io: disk.createStorageIo(), blockBytes: 512, preallocate: 'none', markAfterMs: 0 },
  });
  return { disk, options };
}

/** From now on nothing finds room. */
export function fill(disk: SimulatedDisk): void {
  disk.capacityBytes = disk.usedBytes;
}

export function empty(disk: SimulatedDisk): void {
  disk.capacityBytes = Number.POSITIVE_INFINITY;
}
