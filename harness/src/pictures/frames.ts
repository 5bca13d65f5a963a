import {
  decodeSegmentHeader,
  isMark,
  parseSegmentFileName,
  provenDurable,
  RecordHeader,
  readRecordHeader,
  scanFrames,
  segmentSeed,
} from '@walstack/codec';
import { ioSteps, runSync, type StorageIo } from '@walstack/storage-io';

/** A frame of a segment: where it is, its bytes, and what it says. */
export interface Frame {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly kind: 'record' | 'mark';
  /** Of a mark: that of the record behind it. */
  readonly lsn: number;
  /** Everything up to this LSN was durable when it was written, as it says; 0 for nothing. */
  readonly provenLsn: number;
}

/** The bytes of the first segment of a log, as a process on this disk reads them. */
export function segmentBytes(io: StorageIo, directory: string): Uint8Array {
  const [name = ''] = io
    .list(directory)
    .filter((each) => parseSegmentFileName(each) !== undefined)
    .sort();
  const file = io.open(`${directory}/${name}`, { readOnly: true });
  const bytes = new Uint8Array(io.size(file));
  runSync(io, ioSteps.read(io, file, bytes, 0));
  io.close(file);
  return bytes;
}

/** The frame at an offset; `undefined` where none can be read. */
export function frameAt(bytes: Uint8Array, offset: number): Frame | undefined {
  const { blockBytes, segmentId } = decodeSegmentHeader(bytes, 'the segment');
  const offsets = new Uint32Array(2);
  const count = scanFrames(bytes, offset, bytes.length, offset, blockBytes, segmentSeed(segmentId), offsets);
  if (count === 0 || offsets[0] !== offset) return undefined;
  const header = new RecordHeader();
  readRecordHeader(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset, header);
  return {
    offset,
    bytes: bytes.subarray(offset, offsets[1]),
    kind: isMark(header) ? 'mark' : 'record',
    lsn: header.lsn,
    provenLsn: provenDurable(header.lsn, header.durableLag),
  };
}

/** The frames of a segment in which everything can be read. */
export function framesOf(bytes: Uint8Array): Frame[] {
  const { blockBytes } = decodeSegmentHeader(bytes, 'the segment');
  const frames: Frame[] = [];
  for (let at: number = blockBytes; ; ) {
    const frame = frameAt(bytes, at);
    if (frame === undefined) return frames;
    frames.push(frame);
    at += frame.bytes.length;
  }
}
