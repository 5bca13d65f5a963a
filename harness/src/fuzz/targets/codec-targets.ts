import assert from 'node:assert/strict';
import {
  type Checkpoint,
  decodeCheckpoint,
  decodeFrame,
  decodeSegmentHeader,
  encodeCheckpoint,
  encodeFrame,
  encodeSegmentHeader,
  isCoreDirectoryName,
  isFreeFileName,
  isMark,
  MARK_FRAME_BYTES,
  MarkType,
  parseSegmentFileName,
  provenDurable,
  RecordHeader,
  readRecordHeader,
  readScope,
  recordProblem,
  segmentFileName,
  WalError,
  writeMark,
} from '@walstack/codec';
import fc from 'fast-check';
import { crcOf, fieldsAt, frameAt, framesOf, problemOf, proves, unsigned } from '../checks/reference.js';
import { around, blockSizes, bytes, edits, frameFields, putFields, seeds } from './arbitraries.js';
import { type Edit, edited } from './edits.js';
import { SUBJECTS, type Subject } from './subjects.js';
import { asItIs, type Target, target } from './target.js';

const viewOf = (memory: Uint8Array): DataView => new DataView(memory.buffer, memory.byteOffset, memory.byteLength);

/** Takes only errors with one of these codes. */
function refusedWith(codes: readonly string[], call: () => void): boolean {
  try {
    call();
    return false;
  } catch (error) {
    assert.ok(WalError.is(error), `not a WalError: ${error}`);
    assert.ok(codes.includes(error.code), `${error.code} is none of ${codes.join(', ')}: ${error.message}`);
    assert.ok(error.message.length > 20 && error.path !== undefined && error.reason !== undefined);
    return true;
  }
}

const ids = fc.uint8Array({ minLength: 16, maxLength: 16 });
const safe = fc.oneof(fc.maxSafeNat(), fc.nat(10), fc.constant(Number.MAX_SAFE_INTEGER));
const lsns = safe.map((value) => Math.max(1, value));

/** Headers, valid at first, then edited, with the checksum made right again or not. */
const headers = fc
  .record({
    blockBytes: blockSizes,
    encrypted: fc.boolean(),
    salvaged: fc.boolean(),
    keyId: fc.nat(0xffff_ffff),
    firstLsn: lsns,
    number: lsns,
    logId: ids,
    segmentId: ids,
    createdAtMs: safe,
    coreId: fc.option(fc.nat(0xffff_fffe), { nil: undefined }),
    firstPosition: safe,
    predecessorId: fc.option(ids, { nil: undefined }),
    edits: edits(3),
    resealed: fc.boolean(),
  })
  .map(({ predecessorId, edits: changes, resealed, ...header }) => {
    const block = new Uint8Array(160);
    const hasPredecessor = predecessorId !== undefined && header.number > 1;
    const predecessor = hasPredecessor ? { number: header.number - 1, id: predecessorId } : undefined;
    encodeSegmentHeader(block, { ...header, encryptedFrom: header.encrypted ? 1 : 0, predecessor });
    const changed = edited(block, changes);
    if (resealed && changed.length >= 128) viewOf(changed).setUint32(124, crcOf(changed.subarray(0, 124)), true);
    return changed;
  });

const header = target<Uint8Array, Uint8Array>({
  name: 'segment header',
  shapes: headers,
  inputOf: asItIs,
  check: (memory) => {
    let again: Uint8Array | undefined;
    const refused = refusedWith(['WAL_BAD_HEADER', 'WAL_UNSUPPORTED_VERSION'], () => {
      const decoded = decodeSegmentHeader(memory, 'a file');
      again = new Uint8Array(128);
      encodeSegmentHeader(again, decoded);
    });
    if (refused || again === undefined) return;
    assert.equal(crcOf(memory.subarray(0, 124)), Number(unsigned(memory, 124, 4)), 'a wrong checksum was accepted');
    // Whatever a field means is written again as it was; reserved bytes, and the id of no predecessor, mean nothing.
    const meaning = (from: Uint8Array): Uint8Array => {
      const copy = from.slice(0, 124);
      copy.fill(0, 76, 80);
      copy.fill(0, 112, 124);
      if (unsigned(copy, 88, 8) === 0n) copy.fill(0, 96, 112);
      return copy;
    };
    assert.deepEqual(meaning(again), meaning(memory));
  },
});

/** Memory with frames in it, sealed by the reference, then edited. */
const framed = fc
  .record({
    before: fc.nat(40),
    blockBytes: blockSizes,
    position: fc.oneof(fc.nat(10_000), around(2 ** 40, 5000)),
    seed: seeds,
    frames: fc.array(fc.tuple(fc.oneof(bytes(60), bytes(700)), fc.boolean()), { maxLength: 12 }),
    edits: edits(3),
    room: fc.oneof(fc.integer({ min: 2, max: 6 }), fc.constant(1000)),
    cut: fc.nat(3000),
    whole: fc.boolean(),
  })
  .map(({ before, frames, edits: changes, cut, whole, ...rest }) => {
    const { position, blockBytes, seed } = rest;
    const parts: Uint8Array[] = [new Uint8Array(before).fill(0x5a)];
    let at = position;
    const put = (part: Uint8Array): void => {
      parts.push(part);
      at += part.length;
    };
    for (const [data, padded] of frames) {
      const left = blockBytes - (at % blockBytes);
      if (left < 8) put(new Uint8Array(left));
      const frame = new Uint8Array(8 + data.length);
      viewOf(frame).setUint32(0, data.length, true);
      viewOf(frame).setUint32(4, crcOf(data, seed), true);
      frame.set(data, 8);
      put(frame);
      if (padded) put(new Uint8Array((blockBytes - (at % blockBytes)) % blockBytes));
    }
    const memory = edited(new Uint8Array(Buffer.concat(parts)), changes);
    const start = Math.min(before, memory.length);
    return { ...rest, memory, start, end: whole ? memory.length : start + (cut % (memory.length - start + 1)) };
  });

type Framed = typeof framed extends fc.Arbitrary<infer T> ? T : never;

const scan = (subject: Subject): Target =>
  target<Framed, Framed>({
    name: `scanFrames, ${subject.name}`,
    shapes: framed,
    inputOf: asItIs,
    check: ({ memory, start, end, position, blockBytes, seed, room }) => {
      const before = memory.slice();
      const offsets = new Uint32Array(room);
      const stretch = { bytes: memory, start, end, position, blockBytes, seed };
      const count = subject.scanFrames(memory, start, end, position, blockBytes, seed, offsets);
      assert.deepEqual([...offsets.subarray(0, count + 1)], framesOf(stretch, room - 1));
      assert.deepEqual(memory, before, 'the memory was changed');
    },
  });

const seal = (subject: Subject): Target =>
  target<Framed, Framed>({
    name: `sealFrames, ${subject.name}`,
    shapes: framed,
    inputOf: asItIs,
    check: ({ memory, start, end, position, blockBytes, seed }) => {
      const expected = memory.slice();
      let count = 0;
      let overruns = false;
      for (let at = start; at + 8 <= end; ) {
        const left = blockBytes - ((position + at - start) % blockBytes);
        const length = left < 8 ? 0 : Number(unsigned(memory, at, 4));
        if (length === 0) {
          at += left;
          continue;
        }
        overruns = at + 8 + length > end;
        if (overruns) break;
        viewOf(expected).setUint32(at + 4, crcOf(expected.subarray(at + 8, at + 8 + length), seed), true);
        count++;
        at += 8 + length;
      }
      const sealed = memory.slice();
      const call = () => subject.sealFrames(sealed, start, end, position, blockBytes, seed);
      if (overruns) assert.throws(call, { name: 'RangeError', code: 'ERR_OUT_OF_RANGE' });
      else assert.equal(call(), count);
      assert.deepEqual(sealed, expected);
    },
  });

const crc = (subject: Subject): Target =>
  target<[Uint8Array, number, number, number], [Uint8Array, number, number, number]>({
    name: `crc32c, ${subject.name}`,
    shapes: fc.tuple(bytes(600), seeds, fc.nat(), fc.nat()),
    inputOf: asItIs,
    check: ([memory, seed, from, to]) => {
      const end = to % (memory.length + 1);
      const start = from % (end + 1);
      assert.equal(subject.crc32c(memory, seed, start, end), crcOf(memory.subarray(start, end), seed));
    },
  });

interface FrameInput {
  readonly memory: Uint8Array;
  readonly offset: number;
  readonly seed: number;
}

const frame = target<{ data: Uint8Array; before: number; seed: number; edits: readonly Edit[] }, FrameInput>({
  name: 'decodeFrame',
  shapes: fc.record({ data: bytes(200), before: fc.nat(20), seed: seeds, edits: edits(2) }),
  inputOf: ({ data, before, seed, edits: changes }) => {
    const whole = new Uint8Array(before + 8 + data.length + 5);
    if (data.length > 0) encodeFrame(whole, before, data, seed);
    const memory = edited(whole, changes);
    return { memory, offset: Math.min(before, memory.length), seed };
  },
  check: ({ memory, offset, seed }) => {
    const length = frameAt(memory, offset, memory.length, seed);
    const expected = length === undefined ? undefined : memory.subarray(offset + 8, offset + 8 + length);
    assert.deepEqual(decodeFrame(memory, offset, seed), expected);
  },
});

const record = target<[Uint8Array, Uint8Array], [Uint8Array, Uint8Array]>({
  name: 'record',
  shapes: fc.tuple(
    frameFields(100).map((fields) => {
      const memory = new Uint8Array(32);
      putFields(memory, 0, fields);
      return memory;
    }),
    fc.uint8Array({ minLength: 24, maxLength: 24 }),
  ),
  inputOf: asItIs,
  check: ([start, scope]) => {
    const memory = new Uint8Array(Buffer.concat([start, scope]));
    const found = new RecordHeader();
    readRecordHeader(viewOf(memory), 0, found);
    const fields = fieldsAt(memory, 0);
    const { lsn, durableLag, ...rest } = { ...found };
    const { lsn: exact, lag, ...expected } = fields;
    assert.deepEqual(rest, expected);
    assert.equal(durableLag, lag);
    assert.equal(lsn, exact > BigInt(Number.MAX_SAFE_INTEGER) ? Number.POSITIVE_INFINITY : Number(exact));
    assert.equal(recordProblem(found), problemOf(fields));
    assert.equal(isMark(found), (fields.flags & 16) !== 0);
    assert.equal(provenDurable(lsn, lag), lag === 0xffff_ffff ? 0 : lsn - lag);
    assert.deepEqual(readScope(viewOf(memory), 32), {
      tenantId: unsigned(scope, 0, 8),
      databaseId: unsigned(scope, 8, 8),
      vshardId: Number(unsigned(scope, 16, 4)),
    });
  },
});

interface MarkInput {
  readonly memory: Uint8Array;
  readonly edited: boolean;
}

const mark = target<{ lsn: number; type: number; elapsedMs: number; edits: readonly Edit[] }, MarkInput>({
  name: 'mark',
  shapes: fc.record({
    lsn: lsns,
    type: fc.constantFrom(...Object.values(MarkType)),
    elapsedMs: fc.oneof(safe, fc.integer({ min: -1000, max: 0 })),
    edits: edits(1),
  }),
  inputOf: ({ lsn, type, elapsedMs, edits: changes }) => {
    const memory = new Uint8Array(MARK_FRAME_BYTES);
    writeMark(viewOf(memory), 0, lsn, type, elapsedMs);
    const changed = edited(memory, changes);
    const inPlace = new Uint8Array(MARK_FRAME_BYTES);
    inPlace.set(changed.subarray(0, MARK_FRAME_BYTES));
    return { memory: inPlace, edited: Buffer.compare(memory, inPlace) !== 0 };
  },
  check: ({ memory, edited: changed }) => {
    const found = new RecordHeader();
    readRecordHeader(viewOf(memory), 0, found);
    const problem = problemOf(fieldsAt(memory, 0));
    assert.equal(recordProblem(found), problem);
    if (!changed) assert.deepEqual([isMark(found), problem], [true, undefined]);
  },
});

const checkpoints = fc
  .record({
    logId: ids,
    firstSegment: lsns,
    checkpointLsn: safe,
    holds: fc.dictionary(fc.string({ maxLength: 8 }), lsns, { maxKeys: 3 }),
    salvagedBelow: fc.option(lsns, { nil: undefined }),
    expiredLsn: fc.option(lsns, { nil: undefined }),
    unsettled: fc.option(fc.record({ firstSegment: lsns, expiredLsn: lsns }), { nil: undefined }),
  })
  .map(({ unsettled, ...rest }) => ({
    ...rest,
    unsettled: unsettled === undefined || unsettled.firstSegment >= rest.firstSegment ? undefined : unsettled,
  }));

/** JSON that is nearly, or just, that of a checkpoint, in a frame whose checksum is right. */
const likeCheckpoints = fc
  .record(
    {
      logId: fc.oneof(fc.constant('00'.repeat(16)), fc.string({ maxLength: 33 }), fc.jsonValue({ maxDepth: 1 })),
      firstSegment: fc.oneof(lsns, fc.double(), fc.jsonValue({ maxDepth: 1 })),
      checkpointLsn: fc.oneof(safe, fc.double(), fc.jsonValue({ maxDepth: 1 })),
      holds: fc.oneof(
        fc.dictionary(fc.string(), fc.oneof(lsns, fc.jsonValue({ maxDepth: 1 }))),
        fc.jsonValue({ maxDepth: 2 }),
      ),
      salvagedBelow: fc.oneof(lsns, fc.double(), fc.jsonValue({ maxDepth: 1 })),
      expiredLsn: fc.oneof(lsns, fc.double(), fc.jsonValue({ maxDepth: 1 })),
      unsettled: fc.oneof(
        fc.record({ firstSegment: fc.oneof(lsns, fc.double()), expiredLsn: fc.oneof(lsns, fc.double()) }),
        fc.jsonValue({ maxDepth: 1 }),
      ),
    },
    { requiredKeys: [] },
  )
  .map((json) => new TextEncoder().encode(JSON.stringify(json)));

const checkpoint = target<readonly [Uint8Array, readonly Edit[]], Uint8Array>({
  name: 'checkpoint',
  shapes: fc.oneof(
    fc.tuple(checkpoints.map(encodeCheckpoint), edits(3)),
    fc.tuple(
      fc.oneof(likeCheckpoints, bytes(80)).map((data) => {
        const file = new Uint8Array(8 + data.length);
        if (data.length > 0) encodeFrame(file, 0, data);
        return file;
      }),
      fc.constant([]),
    ),
  ),
  inputOf: ([file, changes]) => edited(file, changes),
  check: (file) => {
    let decoded: Checkpoint | undefined;
    const refused = refusedWith(['WAL_CORRUPT'], () => {
      decoded = decodeCheckpoint(file, 'checkpoint');
    });
    if (refused || decoded === undefined) return;
    assert.equal(
      frameAt(file, 0, file.length, crcOf(new Uint8Array(16))),
      file.length - 8,
      'a damaged file was accepted',
    );
    assert.deepEqual(decodeCheckpoint(encodeCheckpoint(decoded), 'checkpoint'), decoded);
  },
});

interface EvidenceInput {
  readonly memory: Uint8Array;
  readonly beyond: number;
  readonly lsn: number;
  readonly lastLsn: number;
}

const evidence = (subject: Subject): Target =>
  target<EvidenceInput, EvidenceInput>({
    name: `findDurabilityProof, ${subject.name}`,
    shapes: fc
      .record({
        length: fc.nat(300),
        fill: fc.constantFrom(0, 0xff, 0x18),
        frames: fc.array(fc.tuple(fc.nat(260), frameFields(100)), { maxLength: 5 }),
        beyond: fc.oneof(fc.nat(300), fc.constant(2 ** 33)),
        lsn: around(100, 6),
        span: fc.oneof(fc.nat(20), fc.constant(2 ** 52)),
      })
      .map(({ length, fill, frames, beyond, lsn, span }) => {
        const memory = new Uint8Array(300).fill(fill);
        for (const [at, fields] of frames) putFields(memory, at, fields);
        return { memory: memory.slice(0, length), beyond, lsn, lastLsn: lsn + span };
      }),
    inputOf: asItIs,
    check: ({ memory, beyond, lsn, lastLsn }) => {
      const expected: number[] = [];
      for (let at = 0; at + 32 <= memory.length; at++) {
        if (proves(fieldsAt(memory, at), memory.length - at + beyond, lsn, lastLsn)) expected.push(at);
      }
      const found: number[] = [];
      for (let at = 0; ; at++) {
        at = subject.findDurabilityProof(memory, at, memory.length, memory.length - at + beyond, lsn, lastLsn);
        if (at === -1) break;
        found.push(at);
      }
      assert.deepEqual(found, expected);
    },
  });

const digits = fc.oneof(
  fc
    .tuple(fc.nat(), fc.constantFrom(9, 10, 11, 19, 20, 21))
    .map(([value, width]) => String(value).padStart(width, '0')),
  fc.constantFrom(
    '0000000000',
    '9999999999',
    '00009007199254740991',
    '00009007199254740992',
    '00000000000000000000',
    '٣',
  ),
);

const fileName = target<string, string>({
  name: 'file names',
  shapes: fc.oneof(
    fc.tuple(digits, digits).map(([number, lsn]) => `wal-${number}-${lsn}.seg`),
    fc
      .tuple(fc.constantFrom('free-', 'core-', 'wal-', 'FREE-', ''), digits, fc.constantFrom('.seg', '', '.SEG', '\n'))
      .map((parts) => parts.join('')),
    fc.string(),
  ),
  inputOf: asItIs,
  check: (name) => {
    const parsed = parseSegmentFileName(name);
    if (parsed !== undefined) assert.equal(segmentFileName(parsed.number, parsed.firstLsn), name);
    else assert.equal(isNameOfSegment(name), false);
    assert.equal(
      isFreeFileName(name),
      name.startsWith('free-') && name.endsWith('.seg') && onlyDigits(name.slice(5, -4)),
    );
    assert.equal(isCoreDirectoryName(name), name.startsWith('core-') && onlyDigits(name.slice(5)));
  },
});

const onlyDigits = (text: string): boolean => text !== '' && [...text].every((each) => '0123456789'.includes(each));

/** Whether a name is what a segment with some number and LSN would be called. */
function isNameOfSegment(name: string): boolean {
  const [wal, number = '', rest = '', ...more] = name.split('-');
  const lsn = rest.slice(0, -4);
  if (wal !== 'wal' || more.length > 0 || !rest.endsWith('.seg') || !onlyDigits(number) || !onlyDigits(lsn))
    return false;
  const known = BigInt(number) >= 1n && BigInt(lsn) >= 1n && BigInt(lsn) <= BigInt(Number.MAX_SAFE_INTEGER);
  return known && number.length === 10 && lsn.length === 20;
}

/** What is fuzzed of each implementation. */
export const targetsOf = (subject: Subject): readonly Target[] => [
  scan(subject),
  seal(subject),
  crc(subject),
  evidence(subject),
];

/** Every decoder of bytes in memory. */
export const CODEC_TARGETS: readonly Target[] = [
  header,
  frame,
  ...SUBJECTS.flatMap(targetsOf),
  record,
  mark,
  checkpoint,
  fileName,
];
