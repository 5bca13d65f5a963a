import {
  crc32c,
  decodeSegmentHeader,
  encodeSegmentHeader,
  frameStart,
  isMark,
  RecordHeader,
  readRecordHeader,
  readScope,
  recordProblem,
  scanFrames,
  sealFrames,
  segmentSeed,
} from '@walstack/codec';
import { findDurabilityProof } from '@walstack/codec/internal';
import { describe, expect, it } from 'vitest';
import {
  fromHex,
  fromRuns,
  type HeaderVector,
  putMark,
  putRecord,
  type RecordVector,
  readVectors,
  toHeader,
  toHex,
  toScope,
  viewOf,
} from './support.js';

interface Place {
  readonly at: number;
  readonly end: number;
}

interface RecordFrame extends RecordVector, Place {
  readonly kind: 'record';
}

interface MarkFrame extends Place {
  readonly kind: 'mark';
  readonly lsn: number;
  readonly type: number;
  readonly timeMs: number;
}

interface SegmentVector extends HeaderVector {
  readonly nextLsn: number;
  readonly frames: readonly (RecordFrame | MarkFrame)[];
}

const vectors = readVectors<SegmentVector>('segments.json');

/** Writes the frames as a writer does: each where `frameStart` says, or at the next block when the vector was padded. */
function write(vector: SegmentVector, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  const { blockSize } = vector;
  encodeSegmentHeader(bytes.subarray(0, blockSize), toHeader(vector));
  let position = blockSize;
  for (const frame of vector.frames) {
    const next = frameStart(position, blockSize);
    const padded = Math.ceil(position / blockSize) * blockSize;
    const at = frame.at === next ? next : padded;
    if (frame.kind === 'mark') position = putMark(bytes, at, frame.lsn, frame.type, frame.timeMs);
    else {
      position = putRecord(bytes, at, {
        ...frame,
        durableLsn: frame.lsn - frame.lag,
        elapsedMs: frame.timeMs,
        scope: frame.scope === null ? undefined : toScope(frame.scope),
        meta: fromRuns(frame.meta),
        payload: fromRuns(frame.payload),
      });
    }
  }
  const seed = segmentSeed(fromHex(vector.segmentId));
  expect(sealFrames(bytes, blockSize, length, blockSize, blockSize, seed)).toBe(vector.frames.length);
  return bytes;
}

describe('whole segment files', () => {
  it.each(vectors)('are written as the vector says: $name', (vector) => {
    const expected = fromRuns(vector.bytes);
    const bytes = write(vector, expected.length);
    // Compared in blocks, so that a difference shows where it is.
    for (let at = 0; at < expected.length; at += 512) {
      expect(`${at}: ${toHex(bytes.subarray(at, at + 512))}`).toBe(`${at}: ${toHex(expected.subarray(at, at + 512))}`);
    }
  });

  it.each(vectors)('are read as the vector says: $name', (vector) => {
    const bytes = fromRuns(vector.bytes);
    const view = viewOf(bytes);
    const header = decodeSegmentHeader(bytes, 'a path');
    expect(header).toEqual(toHeader(vector));
    const offsets = new Uint32Array(vector.frames.length + 2);
    const seed = segmentSeed(header.segmentId);
    const { blockBytes } = header;
    const count = scanFrames(bytes, blockBytes, bytes.length, blockBytes, blockBytes, seed, offsets);
    expect([...offsets.subarray(0, count)]).toEqual(vector.frames.map(({ at }) => at));
    expect(offsets[count]).toBe(bytes.length);
    const record = new RecordHeader();
    let lsn = vector.firstLsn;
    for (const frame of vector.frames) {
      readRecordHeader(view, frame.at, record);
      expect(recordProblem(record)).toBeUndefined();
      expect(record.lsn).toBe(lsn);
      expect(record.lsn).toBe(frame.lsn);
      expect(record.type).toBe(frame.type);
      expect(record.elapsedMs).toBe(frame.timeMs);
      expect(isMark(record)).toBe(frame.kind === 'mark');
      expect(frame.at + 8 + record.length).toBe(frame.end);
      if (frame.kind === 'mark') continue;
      lsn++;
      expect(record.durableLag).toBe(frame.lag);
      expect(record.flags).toBe(frame.flags);
      let at = frame.at + 32;
      if (frame.scope !== null) {
        expect(readScope(view, at)).toEqual(toScope(frame.scope));
        at += 24;
      }
      expect(toHex(bytes.subarray(at, at + record.metaLength))).toBe(toHex(fromRuns(frame.meta)));
      expect(toHex(bytes.subarray(at + record.metaLength, frame.end))).toBe(toHex(fromRuns(frame.payload)));
    }
    expect(lsn).toBe(vector.nextLsn);
  });

  it('have frames that end at every distance around the end of a block', () => {
    for (const blockSize of [512, 1024]) {
      const vector = vectors.find(
        (each) => each.blockSize === blockSize && each.name.startsWith('frames that end around'),
      ) as SegmentVector;
      const distances = new Set(vector.frames.map(({ end }) => (blockSize - (end % blockSize)) % blockSize));
      for (let distance = 0; distance <= 12; distance++) expect(distances).toContain(distance);
      const moved = vector.frames.filter(({ at }, index) => at !== (vector.frames[index - 1]?.end ?? at));
      expect(moved.length).toBeGreaterThanOrEqual(7);
    }
  });

  it('show damage in the middle by the frames behind it, and a torn tail by their absence', () => {
    // Records 1 to 6 with lags 1 to 6, then a mark that says all were durable.
    const vector = vectors.find(({ name }) => name === 'frames one behind the other, block size 512') as SegmentVector;
    const whole = fromRuns(vector.bytes);
    const hole = vector.frames[2] as RecordFrame;
    const mark = vector.frames[6] as MarkFrame;
    whole[hole.at + 40] = (whole[hole.at + 40] as number) ^ 1;
    const left = whole.length - hole.end;
    const at = findDurabilityProof(whole, hole.end, whole.length, left, hole.lsn, hole.lsn + Math.floor(left / 32));
    expect(at).toBe(mark.at);
    const seed = segmentSeed(fromHex(vector.segmentId));
    expect(crc32c(whole, seed, at + 8, at + 32)).toBe(viewOf(whole).getUint32(at + 4, true));
    const cut = whole.slice(0, mark.at);
    expect(findDurabilityProof(cut, hole.end, cut.length, cut.length - hole.end, hole.lsn, hole.lsn + 20)).toBe(-1);
  });
});
