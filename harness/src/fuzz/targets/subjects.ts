import { crc32c, scanFrames, sealFrames } from '@walstack/codec';
import { findDurabilityProof } from '@walstack/codec/internal';
import * as native from '@walstack/native';

/** The functions of which there may be several implementations, each to do exactly what the others do. */
export interface Subject {
  readonly name: string;
  readonly crc32c: typeof crc32c;
  readonly sealFrames: typeof sealFrames;
  readonly scanFrames: typeof scanFrames;
  readonly findDurabilityProof: typeof findDurabilityProof;
}

/**
 * Every implementation. A line here, and it is fuzzed like the others. The codec takes the addon where a range is worth
 * the call, and JavaScript for all of it with `WALSTACK_NATIVE=0`.
 */
export const SUBJECTS: readonly Subject[] = [
  { name: 'codec', crc32c, sealFrames, scanFrames, findDurabilityProof },
  ...(native.available ? [{ name: 'native', ...native }] : []),
];
