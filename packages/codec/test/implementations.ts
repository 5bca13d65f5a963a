import * as codec from '@walstack/codec';
import * as internal from '@walstack/codec/internal';
import * as native from '@walstack/native';
import { viewOf } from '../src/integers.js';
import { continueCrc32c } from '../src/javascript/crc32c.js';
import { findDurabilityProof } from '../src/javascript/durability-proof.js';
import { scanFrames, sealFrames } from '../src/javascript/frames.js';

/** The kernels of one implementation. */
export type Implementation = Pick<typeof codec, 'crc32c' | 'sealFrames' | 'scanFrames'> &
  Pick<typeof internal, 'findDurabilityProof'>;

/** Does not check its arguments. */
const javaScript: Implementation = {
  crc32c: (bytes, seed = 0, start = 0, end = bytes.length) => continueCrc32c(viewOf(bytes), start, end, seed) >>> 0,
  sealFrames,
  scanFrames,
  findDurabilityProof,
};

/**
 * Each implementation by itself, whatever codec would take for a range of that length, and codec as it is. Without the
 * addon's binary there is one fewer.
 */
export const implementations: readonly (Implementation & { readonly name: string })[] = [
  { name: 'codec', ...codec, ...internal },
  { name: 'JavaScript', ...javaScript },
  ...(native.available ? [{ name: 'the addon', ...native }] : []),
];

/** To be compared. */
export const bothImplementations = { javaScript, addon: native.available ? native : undefined };
