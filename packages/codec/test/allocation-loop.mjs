// Run by allocation.test.ts under --trace-gc: encodes, seals, scans and reads groups of records in one buffer.
import {
  frameStart,
  MARK_FRAME_BYTES,
  RecordHeader,
  readRecordHeader,
  recordFrameBytes,
  recordProblem,
  scanFrames,
  sealFrames,
  segmentSeed,
  writeMark,
  writeRecordHeader,
  writeScope,
} from '@walstack/codec';

const BLOCK_BYTES = 4096;
const RECORDS_A_GROUP = 7000;
const bytes = new Uint8Array(1 << 20);
const view = new DataView(bytes.buffer);
const seed = segmentSeed(new Uint8Array(16).fill(7));
const scope = { tenantId: 5n, databaseId: 6n, vshardId: 7 };
const offsets = new Uint32Array(RECORDS_A_GROUP + 2);
const header = new RecordHeader();

function group(firstLsn) {
  let at = 0;
  for (let index = 0; index < RECORDS_A_GROUP; index++) {
    at = frameStart(at, BLOCK_BYTES);
    const frameBytes = recordFrameBytes(60, 4, true);
    const lsn = firstLsn + index;
    writeRecordHeader(view, at, frameBytes, lsn, 3, firstLsn - 1, 4, 8, 0, index);
    writeScope(view, at + MARK_FRAME_BYTES, scope);
    bytes[at + frameBytes - 1] = lsn;
    at += frameBytes;
  }
  at = frameStart(at, BLOCK_BYTES);
  writeMark(view, at, firstLsn + RECORDS_A_GROUP, 0, 9);
  at += MARK_FRAME_BYTES;
  const sealed = sealFrames(bytes, 0, at, 0, BLOCK_BYTES, seed);
  const found = scanFrames(bytes, 0, at, 0, BLOCK_BYTES, seed, offsets);
  if (sealed !== RECORDS_A_GROUP + 1 || found !== sealed) throw new Error('frames are missing');
  for (let index = 0; index < found; index++) {
    readRecordHeader(view, offsets[index], header);
    if (recordProblem(header) !== undefined) throw new Error('a record is wrong');
  }
}

for (let index = 0; index < 150; index++) group(1 + index * RECORDS_A_GROUP);
console.log('loop begins');
for (let index = 0; index < Number(process.argv[2]); index++) group(1 + index * RECORDS_A_GROUP);
