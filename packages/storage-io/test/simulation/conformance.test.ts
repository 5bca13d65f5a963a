import { storageIoConformance } from '@walstack/storage-io/conformance';
import type { SimulatedIoOptions } from '@walstack/storage-io/simulation';
import { describe, test } from 'vitest';
import { onSimulatedDisk } from './simulated-backend.js';

/** Every mode that a backend of a simulated disk can have. */
const MODES: Readonly<Record<string, SimulatedIoOptions>> = {
  'as a file system that blocks': {},
  'as a ring: in any order, and it can wait': { completesInline: false, overlappedWrites: true, durableWrites: true },
  'as a thread pool: in any order, and it cannot wait': { completesInline: false, canWait: false },
  'with durable writes, in pieces': { durableWrites: true, shortWrites: true },
  'as a ring, in pieces, long under way': { completesInline: false, shortWrites: true, latencyTicks: 1000 },
  'with direct I/O, without locks on files': { directAlignment: 512, fileLocks: false },
  'as a ring with direct I/O, in pieces': {
    completesInline: false,
    directAlignment: 4096,
    durableWrites: true,
    shortWrites: true,
  },
};

describe.each(Object.entries(MODES))('%s', (_name, mode) => {
  describe.each([1, 2])('seed %i', (seed) => {
    storageIoConformance({
      test,
      powerCuts: true,
      create: (options) => onSimulatedDisk(seed, mode, options),
    });
  });
});
