/**
 * The passes over bytes, each by the native addon where that is loaded and the range is worth the call, in JavaScript
 * otherwise. Both give the same, errors included. Nothing here checks arguments.
 */
import * as native from '@walstack/native';
import { viewOf } from './integers.js';
import { continueCrc32c as crc32cInJavaScript } from './javascript/crc32c.js';
import { findDurabilityProof as findInJavaScript } from './javascript/durability-proof.js';
import { scanFrames as scanInJavaScript, sealFrames as sealInJavaScript } from './javascript/frames.js';
import type { Lsn } from './lsn.js';

/** Shorter ranges are done in JavaScript while the call alone is still converting its arguments: measured. */
const WORTH_A_CALL_BYTES = 96;

const isNative = (start: number, end: number): boolean => native.available && end - start >= WORTH_A_CALL_BYTES;

/** Continues `seed`, the CRC32C of what stands before `bytes[start]`. */
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
  const pass = isNative(start, end) ? native.sealFrames : sealInJavaScript;
  return pass(bytes, start, end, position, blockBytes, seed);
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
  const pass = isNative(start, end) ? native.scanFrames : scanInJavaScript;
  return pass(bytes, start, end, position, blockBytes, seed, offsets);
}

export function findDurabilityProof(
  bytes: Uint8Array,
  start: number,
  end: number,
  bytesLeft: number,
  lsn: Lsn,
  lastLsn: Lsn,
): number {
  const pass = isNative(start, end) ? native.findDurabilityProof : findInJavaScript;
  return pass(bytes, start, end, bytesLeft, lsn, lastLsn);
}
