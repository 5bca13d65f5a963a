import type { ConformanceBackend, ConformanceCreateOptions } from '@walstack/storage-io/conformance';
import { SimulatedDisk, type SimulatedIoOptions } from '@walstack/storage-io/simulation';

/** A backend on a simulated disk of its own, which forgets at a power cut whatever was not synced. */
export function onSimulatedDisk(
  seed: number,
  mode: SimulatedIoOptions,
  options?: ConformanceCreateOptions,
): ConformanceBackend {
  const disk = new SimulatedDisk({ seed });
  const io = disk.createStorageIo({ ...mode, ...options });
  io.makeDirectory('/log');
  // The directory is there before the case begins.
  const synced = disk.createStorageIo();
  synced.submitSyncDirectory('/');
  return {
    io,
    directory: '/log',
    another: () => disk.createStorageIo(mode),
    powerCut: () => disk.crash().createStorageIo(mode),
  };
}
