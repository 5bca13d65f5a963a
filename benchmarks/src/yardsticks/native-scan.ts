import { closeSync, openSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSegmentHeader, parseSegmentFileName, SEGMENT_HEADER_BYTES, segmentSeed } from '@walstack/codec';
import { mapFile, mappingUnavailableReason, scanFrames } from '@walstack/native';

const OFFSETS = new Uint32Array(65_536);

/** Why there is no native scan here, in one sentence. */
export const nativeScanMissing: string | undefined =
  mappingUnavailableReason === undefined ? undefined : `native-scan is left out: ${mappingUnavailableReason}`;

/** Verifies the checksum of every frame in the segments of a log, mapped into memory, and does nothing else. */
export function nativeScan(directory: string): { frames: number; bytes: number } {
  let frames = 0;
  let bytes = 0;
  for (const name of readdirSync(directory).sort()) {
    if (parseSegmentFileName(name) === undefined) continue;
    const scanned = scanSegment(join(directory, name));
    frames += scanned.frames;
    bytes += scanned.bytes;
  }
  return { frames, bytes };
}

function scanSegment(path: string): { frames: number; bytes: number } {
  const fd = openSync(path, 'r');
  try {
    using mapping = mapFile(fd);
    const bytes = new Uint8Array(mapping.buffer);
    const { blockBytes, segmentId } = decodeSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES), path);
    const seed = segmentSeed(segmentId);
    let frames = 0;
    for (let position = blockBytes; position < bytes.length; ) {
      const count = scanFrames(bytes, position, bytes.length, position, blockBytes, seed, OFFSETS);
      frames += count;
      position = OFFSETS[count] ?? bytes.length;
      // It stops early where the frames end.
      if (count < OFFSETS.length - 1) break;
    }
    return { frames, bytes: bytes.length };
  } finally {
    closeSync(fd);
  }
}
