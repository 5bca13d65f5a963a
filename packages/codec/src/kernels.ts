/**
 * The kernels, the inner loops over bytes: each runs in the native addon when that is loaded and the range is long enough
 * to be worth the call, else in JavaScript. Both have the same results and errors. Nothing here checks arguments.
 */
import * as native from '@walstack/native';
import { viewOf } from './integers.js';
import { continueCrc32c as crc32cInJavaScript } from './javascript/crc32c.js';
import { findDurabilityProof as findInJavaScript } from './javascript/durability-proof.js';
import { scanFrames as scanInJavaScript, sealFrames as sealInJavaScript } from './javascript/frames.js';
import type { Lsn } from './lsn.js';

/** For shorter ranges JavaScript is faster than the conversion of the native call's arguments alone (measured). */
const NATIVE_BYTES_MIN = 96;

const isNative = (start: number, end: number): boolean => native.available && end - start >= NATIVE_BYTES_MIN;

/** Continues `seed`, the CRC32C of the bytes before `bytes[start]`. */
export function continueCrc32c(bytes: Uint8Array, start: number, end: number, seed: number): number {
  return isNative(start, end)
    ? native.crc32c(bytes, seed, start, end)
    : crc32cInJavaScript(viewOf(bytes), start, end, seed) >>> 0;
}

export function sealFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
): number {
  const kernel = isNative(start, end) ? native.sealFrames : sealInJavaScript;
  return kernel(bytes, start, end, position, blockBytes, seed);
}

export function scanFrames(
  bytes: Uint8Array,
  start: number,
  end: number,
  position: number,
  blockBytes: number,
  seed: number,
  offsets: Uint32Array,
): number {
  const kernel = isNative(start, end) ? native.scanFrames : scanInJavaScript;
  return kernel(bytes, start, end, position, blockBytes, seed, offsets);
}

export function findDurabilityProof(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesLeft: number,
  lsn: Lsn,
  lastLsn: Lsn,
): number {
  const kernel = isNative(start, end) ? native.findDurabilityProof : findInJavaScript;
  return kernel(bytes, start, end, bytesLeft, lsn, lastLsn);
}
