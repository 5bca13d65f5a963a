import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeFrame,
  isHole,
  isMark,
  RecordFlag,
  RecordHeader,
  readRecordHeader,
  recordProblem,
  segmentSeed,
  WalError,
} from '@walstack/codec';
import { MmapWalReader, replayDirectory } from '@walstack/mmap-reader';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { removableDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { type MadeRecord, type MadeSegment, makeSegment } from './support/segments.js';

const record: fc.Arbitrary<MadeRecord> = fc.record(
  {
    payload: fc.oneof(
      fc.string({ maxLength: 40 }),
      fc.nat(1500).map((length) => 'y'.repeat(length)),
    ),
    type: fc.nat(9),
    meta: fc.string({ maxLength: 20 }),
    flags: fc.constantFrom(0, 0, 0, RecordFlag.batchContinues, RecordFlag.mark, RecordFlag.encrypted, 32, 64),
    padded: fc.boolean(),
    marked: fc.boolean(),
    lsn: fc.constantFrom(undefined, undefined, undefined, undefined, 1, 7, 2 ** 32, Number.MAX_SAFE_INTEGER),
    scope: fc.constantFrom(undefined, { tenantId: 1n, databaseId: 2n, vshardId: 3 }),
  },
  { requiredKeys: ['payload'] },
) as fc.Arbitrary<MadeRecord>;

/** What is done to a file. */
const edit = fc.oneof(
  fc.record({ do: fc.constant('flip' as const), at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) }),
  fc.record({
    do: fc.constant('word' as const),
    at: fc.nat(),
    word: fc.constantFrom(0, 1, 7, 23, 24, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
  }),
  fc.record({ do: fc.constant('cut' as const), at: fc.nat() }),
  fc.record({ do: fc.constant('zeros' as const), at: fc.nat(), count: fc.nat(3000) }),
  fc.record({ do: fc.constant('grow' as const), bytes: fc.uint8Array({ maxLength: 3000 }) }),
);
type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never;

function edited(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let file = bytes.slice();
  for (const each of edits) {
    const at = 'at' in each ? each.at % (file.length + 1) : 0;
    if (each.do === 'flip' && at < file.length) file[at] = (file[at] as number) ^ each.mask;
    else if (each.do === 'word' && at + 4 <= file.length) new DataView(file.buffer).setUint32(at, each.word, true);
    else if (each.do === 'cut') file = file.slice(0, at);
    else if (each.do === 'zeros') file.fill(0, at, at + each.count);
    else if (each.do === 'grow') file = Uint8Array.from([...file, ...each.bytes]);
  }
  return file;
}

/** The records that can be read, found by walking over the bytes as the format says, one step at a time. */
function modelOf(bytes: Uint8Array, { header }: MadeSegment): { lsn: number; payloadBytes: number }[] {
  const { blockBytes, segmentId, firstLsn } = header;
  const seed = segmentSeed(segmentId);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const found: { lsn: number; payloadBytes: number }[] = [];
  let next = firstLsn;
  for (let at = blockBytes; at + 8 <= bytes.length; ) {
    const left = blockBytes - (at % blockBytes);
    if (left < 8 || view.getUint32(at, true) === 0) {
      at += left;
      continue;
    }
    const data = decodeFrame(bytes, at, seed);
    if (data === undefined || data.length < 24) break;
    const fields = new RecordHeader();
    readRecordHeader(view, at, fields);
    if (fields.lsn !== next || recordProblem(fields) !== undefined || (fields.flags & RecordFlag.encrypted) !== 0)
      break;
    if (isHole(fields)) next += fields.type;
    else if (next === Number.MAX_SAFE_INTEGER && !isMark(fields)) break;
    else if (!isMark(fields)) {
      const scope = (fields.flags & RecordFlag.scoped) === 0 ? 0 : 24;
      found.push({ lsn: next++, payloadBytes: data.length - 24 - scope - fields.metaLength });
    }
    at += 8 + data.length;
  }
  return found;
}

const { directory, destroy } = removableDirectory();
afterAll(destroy);

function writeFilesInto(path: string, files: readonly (readonly [string, Uint8Array])[]): void {
  mkdirSync(path);
  for (const [name, bytes] of files) writeFileSync(join(path, name), bytes);
}

/** Reads a file in every way. @returns the records, or the code of what was thrown on opening */
function readAll(path: string): { lsn: number; payloadBytes: number }[] | string {
  let reader: MmapWalReader;
  try {
    reader = MmapWalReader.open(path, { onHole: 'skip' });
  } catch (error) {
    if (WalError.is(error)) return error.code;
    throw error;
  }
  try {
    const found: { lsn: number; payloadBytes: number }[] = [];
    for (let each = reader.nextRecord(); each; each = reader.nextRecord()) {
      found.push({ lsn: each.lsn, payloadBytes: each.payload.length });
    }
    expect(reader.stopReason).toBeDefined();
    expect([...reader].map(({ lsn }) => lsn)).toEqual(found.map(({ lsn }) => lsn));
    const cursor = reader.cursor();
    for (const { lsn, payloadBytes } of found) {
      expect(cursor.next()).toBe(true);
      expect([cursor.lsn, cursor.payloadLength, cursor.payload.length]).toEqual([lsn, payloadBytes, payloadBytes]);
    }
    expect(cursor.next()).toBe(false);
    return found;
  } finally {
    reader.close();
  }
}

describe('hostile segments', () => {
  it('are read as far as the format defines, mapped or not, and never crash or hang', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 20 }),
        fc.array(edit, { maxLength: 3 }),
        fc.constantFrom(512, 1024, 4096),
        (records, edits, blockBytes) => {
          const made = makeSegment({ records, blockBytes });
          const bytes = edited(made.bytes, edits);
          const header = bytes.subarray(0, 128);
          const isWhole = Buffer.compare(header, made.bytes.subarray(0, 128)) === 0;
          const alone = join(directory, 'alone');
          writeFileSync(alone, bytes);
          const found = readAll(alone);
          if (isWhole) expect(found).toEqual(modelOf(bytes, made));
          else expect(['WAL_BAD_HEADER', 'WAL_UNSUPPORTED_VERSION']).toContain(found);
          // With a successor beside it, it is mapped.
          const sealed = join(directory, made.name);
          writeFileSync(sealed, bytes);
          writeFileSync(join(directory, 'wal-0000000009-00000000000000000900.seg'), '');
          expect(readAll(sealed)).toEqual(found);
        },
      ),
      { numRuns: 250 },
    );
  });

  it('of any bytes at all are no segment, or are read to their end', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const path = join(directory, 'any');
        writeFileSync(path, bytes);
        expect(readAll(path)).toBe('WAL_BAD_HEADER');
      }),
      { numRuns: 100 },
    );
  });

  it('in a directory are replayed as a prefix, or are a WalError, and with and without copies alike', () => {
    fc.assert(
      fc.property(
        fc.array(record, { maxLength: 15 }),
        fc.array(record, { maxLength: 15 }),
        fc.array(edit, { maxLength: 2 }),
        fc.array(edit, { maxLength: 2 }),
        fc.nat(20),
        (first, second, edits, moreEdits, from) => {
          const log = join(directory, 'log');
          rmSync(log, { recursive: true, force: true });
          const clean = first.map(({ lsn: _, flags: __, ...rest }) => rest);
          const one = makeSegment({ records: clean });
          const two = makeSegment({
            number: 2,
            firstLsn: clean.length + 1,
            records: second,
            predecessor: { number: 1, id: one.header.segmentId },
          });
          writeFilesInto(log, [
            [one.name, edited(one.bytes, edits)],
            [two.name, edited(two.bytes, moreEdits)],
          ]);
          const outcome = (copy: boolean): unknown => {
            const lsns: number[] = [];
            try {
              for (const { lsn } of replayDirectory(log, { copy, from: from === 0 ? 'first' : from })) lsns.push(lsn);
            } catch (error) {
              if (!WalError.is(error)) throw error;
              return [lsns, error.code, error.reason];
            }
            return [lsns];
          };
          const [lsns, ...rest] = outcome(true) as [number[], ...unknown[]];
          expect(lsns).toEqual(lsns.map((_, index) => Math.max(1, from) + index));
          expect(outcome(false)).toEqual([lsns, ...rest]);
        },
      ),
      { numRuns: 150 },
    );
  });
});
