import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeSegmentHeader,
  FRAME_HEADER_BYTES,
  isMark,
  parseSegmentFileName,
  RECORD_HEADER_BYTES,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  SCOPE_BYTES,
  scanFrames,
  sealFrames,
  segmentSeed,
} from '@walstack/codec';

/** A loss made on purpose, to see that it is found. */
export type Plant = 'cut' | 'flip' | 'forge';

export const PLANTS: readonly Plant[] = ['cut', 'flip', 'forge'];

/**
 * Damages a record that has to be there.
 *
 * - `cut`: its segment ends before it
 * - `flip`: one bit of it is another
 * - `forge`: its last byte is another, and its checksum is right again
 *
 * @param required - the last LSN that has to be there
 * @param isOne - whether a record is one that may be damaged
 * @returns which file, and what was done to it; `undefined` when no record there can be damaged like that
 */
export function plantLoss(
  directory: string,
  plant: Plant,
  required: number,
  isOne: (header: RecordHeader) => boolean = () => true,
): string | undefined {
  const path = segmentOf(directory, required);
  if (path === undefined) return undefined;
  const bytes = readFileSync(path);
  const { blockBytes, segmentId } = decodeSegmentHeader(bytes, path);
  const seed = segmentSeed(segmentId);
  const offsets = new Uint32Array(bytes.length / FRAME_HEADER_BYTES + 2);
  const frames = scanFrames(bytes, blockBytes, bytes.length, blockBytes, blockBytes, seed, offsets);
  const start = offsets.subarray(0, frames).find((offset) => {
    const header = headerAt(bytes, offset);
    return isVictim(header, required, plant) && isOne(header);
  });
  if (start === undefined) return undefined;
  if (plant === 'cut') {
    truncateSync(path, start);
    return `${path} was cut to ${start} bytes`;
  }
  const end = start + FRAME_HEADER_BYTES + bytes.readUInt32LE(start);
  const at = end - 1;
  bytes[at] = (bytes[at] as number) ^ 1;
  if (plant === 'forge') sealFrames(bytes, start, end, start, blockBytes, seed);
  writeFileSync(path, bytes);
  return `byte ${at} of ${path} was changed${plant === 'forge' ? ', and its checksum made right' : ''}`;
}

function segmentOf(directory: string, lsn: number): string | undefined {
  const segments = readdirSync(directory).map(parseSegmentFileName);
  const inOrder = segments.filter((name) => name !== undefined).sort((a, b) => a.number - b.number);
  const found = inOrder.findLast(({ firstLsn }) => firstLsn <= lsn);
  return found === undefined ? undefined : join(directory, found.name);
}

/**
 * Whether a frame is a record that has to be there, and has bytes of its own behind its header and scope. What is encrypted
 * or compressed cannot be forged like that: it would be refused, and not read.
 */
function isVictim(header: RecordHeader, required: number, plant: Plant): boolean {
  if (plant === 'forge' && (header.flags & (RecordFlag.encrypted | RecordFlag.compressed)) !== 0) return false;
  return !isMark(header) && header.lsn <= required && header.length > RECORD_HEADER_BYTES + SCOPE_BYTES;
}

function headerAt(bytes: Uint8Array, offset: number): RecordHeader {
  const header = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset, header);
  return header;
}
