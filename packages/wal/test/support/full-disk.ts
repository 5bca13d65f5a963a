import type { SimulatedIoOptions } from '@walstack/storage-io/simulation';
import type { ManualTime } from '../../../../harness/test-kit/manual-time.js';

/** The kinds of backend on which a log that waits for room behaves differently. */
export const BACKENDS_WITHOUT_ROOM: readonly (readonly [string, SimulatedIoOptions])[] = [
  ['a backend that takes its time', { completesInline: false }],
  ['a ring', { completesInline: false, overlappedWrites: true, durableWrites: true, directAlignment: 512 }],
];

/** Options of a log that needs room for every block, with a reserve of a few blocks. */
export const withoutRoom = (time: ManualTime) =>
  ({ blockBytes: 512, markAfterMs: 0, preallocate: 'none', reserveBytes: 8192, ...time.options }) as const;
