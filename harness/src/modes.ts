import type { SegmentedWalConfig } from '@walstack/segmented';
import type { SimulatedIoOptions } from '@walstack/storage-io/simulation';

/** A kind of backend, and how logs on it are configured. Segments are small, so that there are many. */
export interface Mode {
  readonly io: SimulatedIoOptions;
  readonly config: Partial<SegmentedWalConfig>;
}

export type ModeName = 'blocking' | 'padded' | 'durable' | 'recycling' | 'ring' | 'ring-1' | 'ring-4' | 'pool';

/** A backend is made for every state: this much less memory for its queue is felt. */
const maxPending = 256;

function ring(config: Partial<SegmentedWalConfig>, shortWrites = false): Mode {
  const writes = { overlappedWrites: true, durableWrites: true, directAlignment: 512, shortWrites };
  return {
    io: { maxPending, completesInline: false, ...writes },
    config: { segmentBytes: 4096, recycleSegments: 2, ...config },
  };
}

export const MODES: Readonly<Record<ModeName, Mode>> = {
  /** Calls that block, one write and one sync for a group. */
  blocking: { io: { maxPending }, config: { segmentBytes: 2048 } },
  /** Every group ends with its block, and blocks are reserved ahead. */
  padded: { io: { maxPending }, config: { segmentBytes: 4096, padGroups: true, preallocate: 'allocate' } },
  /** One durable write for a group, perhaps carried out in pieces. */
  durable: { io: { maxPending, durableWrites: true, shortWrites: true }, config: { segmentBytes: 2048 } },
  /** Blocks are prepared, and freed segments used again. */
  recycling: { io: { maxPending }, config: { segmentBytes: 2048, preallocate: 'write', recycleSegments: 2 } },
  /** Durable writes side by side, in any order, around the page cache: as many as there are by default. With four, in pieces. */
  ring: ring({}),
  'ring-1': ring({ maxInFlight: 1 }),
  'ring-4': ring({ maxInFlight: 4 }, true),
  /** Calls that take their time, and writes that are carried out in pieces. */
  pool: {
    io: { maxPending, completesInline: false, canWait: false, shortWrites: true },
    config: { segmentBytes: 2048 },
  },
};

export const MODE_NAMES = Object.keys(MODES) as ModeName[];
