import type { SimulatedIoOptions } from '@walstack/storage-io/simulation';

/** Kinds of backend on a simulated disk, by how their calls end, for `describe.each`. */
export const SIMULATED_KINDS: readonly (readonly [string, SimulatedIoOptions])[] = [
  ['blocks', {}],
  ['takes its time', { completesInline: false }],
  ['is a ring', { completesInline: false, overlappedWrites: true, durableWrites: true, directAlignment: 512 }],
];
