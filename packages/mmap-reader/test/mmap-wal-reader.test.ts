import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { RecordFlag, type WalError } from '@walstack/codec';
import { MmapWalReader, type WalRecord } from '@walstack/mmap-reader';
import { fileLocksUnavailableReason, lockFile, mappingUnavailableReason } from '@walstack/native';
import { describe, expect, it } from 'vitest';
import { codeOf } from '../../../harness/test-kit/code-of.js';
import { temporaryDirectory } from '../../../harness/test-kit/temporary-directory.js';
import { text } from '../../../harness/test-kit/text.js';
import { CREATED_AT, makeSegment, plain, sealedFile, textOf, writeSegments } from './support/segments.js';

const canMap = mappingUnavailableReason === undefined && fileLocksUnavailableReason === undefined;
const records = (count: number) => Array.from({ length: count }, (_, index) => plain(index + 1));
const SCOPE = { tenantId: 7n, databaseId: 2n ** 63n, vshardId: 9 };

/** A segment, sealed and so mapped where that can be, and alone, so that it is read. */
const KINDS = [
  ['sealed', sealedFile],
  [
    'newest',
    (segment: Parameters<typeof sealedFile>[0]) => writeSegments(temporaryDirectory(), [segment])[0] as string,
  ],
] as const;

/** What shows memory of others can be moved from Node.js 22 on; before, it is copied. */
const moveAway = (buffer: ArrayBuffer & { transfer?: () => ArrayBuffer }): ArrayBuffer =>
  buffer.transfer?.() ?? structuredClone(buffer, { transfer: [buffer] });

describe.each(KINDS)('MmapWalReader of a %s segment', (kind, fileOf) => {
  it('open reads the header, and maps what is sealed', () => {
    const segment = makeSegment({ records: records(3) });
    using reader = MmapWalReader.open(fileOf(segment));
    expect(reader.header).toEqual(segment.header);
    expect(reader.isMapped).toBe(kind === 'sealed' && canMap);
    expect(reader.madviseState).toBe(reader.isMapped ? 'sequential' : undefined);
    expect(reader.length).toBe(segment.bytes.length);
  });

  it('nextRecord returns every record, as views of the file, and then reports the end', () => {
    const segment = makeSegment({
      records: [
        { payload: 'one', type: 7, meta: 'about one' },
        { payload: '', type: 0xffff_ffff, marked: true },
        { payload: 'three', scope: SCOPE, padded: true },
      ],
    });
    using reader = MmapWalReader.open(fileOf(segment));
    expect(reader.offset).toBe(512);
    expect(reader.stopReason).toBeUndefined();
    const all: WalRecord[] = [];
    for (let record = reader.nextRecord(); record; record = reader.nextRecord()) all.push(record);
    expect(all.map(({ lsn, type, meta, payload }) => [lsn, type, text(meta), text(payload)])).toEqual([
      [1, 7, 'about one', 'one'],
      [2, 0xffff_ffff, '', ''],
      [3, 0, '', 'three'],
    ]);
    expect(all.map(({ scope }) => scope)).toEqual([undefined, undefined, SCOPE]);
    expect(all.every(({ timestampMs }) => timestampMs === CREATED_AT + 3)).toBe(true);
    expect(all[0]?.payload.buffer).toBe(all[2]?.payload.buffer);
    expect(reader.offset).toBe(segment.end);
    expect(reader.stopReason).toBe('end');
    expect(reader.nextRecord()).toBeUndefined();
  });

  it('offset is after the last record that was returned', () => {
    const segment = makeSegment({ records: records(5) });
    using reader = MmapWalReader.open(fileOf(segment));
    for (let index = 1; index < 5; index++) {
      reader.nextRecord();
      expect(reader.offset).toBe(segment.offsets[index]);
    }
  });

  it('records and iterating begin at the first record each time, and nextRecord continues independently', () => {
    using reader = MmapWalReader.open(fileOf(makeSegment({ records: records(20) })));
    reader.nextRecord();
    expect([...reader.records()].map(({ payload }) => text(payload))).toEqual(
      records(20).map(({ payload }) => payload),
    );
    expect([...reader].map(({ lsn }) => lsn)).toEqual(records(20).map((_, index) => index + 1));
    for (const { lsn } of reader) if (lsn === 3) break;
    expect(reader.nextRecord()?.lsn).toBe(2);
  });

  it('isEmpty is whether there is no record', () => {
    using empty = MmapWalReader.open(fileOf(makeSegment({ records: [] })));
    expect(empty.isEmpty).toBe(true);
    expect(empty.nextRecord()).toBeUndefined();
    using full = MmapWalReader.open(fileOf(makeSegment({ records: records(1) })));
    expect(full.isEmpty).toBe(false);
    expect(full.nextRecord()?.lsn).toBe(1);
  });

  it('cursor makes views only on access', () => {
    const segment = makeSegment({
      records: [{ payload: 'abc', type: 3, meta: 'm' }, { payload: 'defg', scope: SCOPE, marked: true }, plain(3)],
    });
    using reader = MmapWalReader.open(fileOf(segment));
    const cursor = reader.cursor();
    expect(cursor.next()).toBe(true);
    expect([cursor.lsn, cursor.type, cursor.flags, cursor.metaLength, cursor.payloadLength]).toEqual([1, 3, 0, 1, 3]);
    expect(cursor.scope).toBeUndefined();
    expect([text(cursor.meta), text(cursor.payload)]).toEqual(['m', 'abc']);
    expect(cursor.offset).toBe(segment.offsets[0]);
    expect(cursor.next()).toBe(true);
    expect([cursor.lsn, cursor.flags, cursor.payloadLength]).toEqual([2, RecordFlag.scoped, 4]);
    expect(cursor.scope).toEqual(SCOPE);
    expect(text(cursor.payload)).toBe('defg');
    expect(cursor.timestampMs).toBe(CREATED_AT + 3);
    expect(cursor.next()).toBe(true);
    expect(cursor.record(true)).toMatchObject({ lsn: 3, type: 3 });
    expect(cursor.next()).toBe(false);
    expect(cursor.stopReason).toBe('end');
    expect(cursor.next()).toBe(false);
  });

  it('close empties every view, and later calls are refused', () => {
    const reader = MmapWalReader.open(fileOf(makeSegment({ records: records(9) })));
    const record = reader.nextRecord() as WalRecord;
    const cursor = reader.cursor();
    cursor.next();
    const { payload } = cursor;
    expect(text(payload)).toBe(textOf(1));
    reader.close();
    reader.close();
    expect([record.payload.length, payload.length, record.payload.buffer.byteLength]).toEqual([0, 0, 0]);
    expect(record.payload[0]).toBeUndefined();
    expect(reader.nextRecord()).toBeUndefined();
    expect(reader.stopReason).toBe('closed');
    expect(codeOf(() => [...reader])).toBe('WAL_CLOSED');
    expect(codeOf(() => reader.cursor())).toBe('WAL_CLOSED');
    expect(codeOf(() => reader.isEmpty)).toBe('WAL_CLOSED');
    expect(cursor.next()).toBe(false);
    expect([cursor.payload.length, cursor.meta.length]).toEqual([0, 0]);
    expect([reader.residentBytes, reader.madviseState]).toEqual([0, undefined]);
    reader.releasePages();
  });

  it('continues when the buffer of a view is transferred away, which stays valid', () => {
    const reader = MmapWalReader.open(fileOf(makeSegment({ records: records(9) })));
    const cursor = reader.cursor();
    cursor.next();
    cursor.next();
    const { payload } = cursor;
    const { byteOffset, length } = payload;
    const moved = moveAway(payload.buffer as ArrayBuffer);
    if (payload.buffer.byteLength === 0) expect(payload.length).toBe(0);
    expect(text(cursor.payload)).toBe(textOf(2));
    const rest: string[] = [];
    while (cursor.next()) rest.push(text(cursor.payload));
    expect(rest).toEqual([3, 4, 5, 6, 7, 8, 9].map(textOf));
    reader.close();
    expect(text(new Uint8Array(moved, byteOffset, length))).toBe(textOf(2));
  });

  it.each([
    ['a flipped byte', [1], 34],
    ['a length that reaches too far', [255, 255, 255, 127], 0],
    ['a length of less than a record', [7, 0, 0, 0], 0],
  ])('stops at %s, and says so', (_what, bytes, distance) => {
    const segment = makeSegment({ records: records(9) });
    segment.bytes.set(bytes, (segment.offsets[4] as number) + distance);
    using reader = MmapWalReader.open(fileOf(segment));
    expect([...reader].length).toBe(4);
    while (reader.nextRecord() !== undefined);
    expect(reader.stopReason).toBe('bad-frame');
    expect(reader.offset).toBe(segment.offsets[4]);
  });

  it('stops at an LSN or fields that cannot be there, and reports the reason', () => {
    const cases = [
      [{ payload: 'x', lsn: 9 }, 'wrong-lsn'],
      [{ payload: 'x', flags: 64 }, 'unknown-flags'],
      [{ payload: 'x', flags: RecordFlag.mark }, 'impossible-fields'],
      [{ payload: 'x', flags: RecordFlag.encrypted }, 'impossible-fields'],
    ] as const;
    for (const [bad, reason] of cases) {
      using reader = MmapWalReader.open(fileOf(makeSegment({ records: [plain(1), bad, plain(3)] })));
      expect([...reader].length).toBe(1);
      reader.nextRecord();
      expect(reader.nextRecord()).toBeUndefined();
      expect(reader.stopReason).toBe(reason);
    }
  });

  it('distinguishes zeros after the last record from anything else', () => {
    for (const [tail, reason] of [
      [new Uint8Array(9000), 'end'],
      [new Uint8Array(9000).fill(1, 8999), 'bad-frame'],
      [new TextEncoder().encode('not a frame, not a frame'), 'bad-frame'],
    ] as const) {
      using reader = MmapWalReader.open(fileOf(makeSegment({ records: records(4), tail })));
      while (reader.nextRecord() !== undefined);
      expect(reader.stopReason).toBe(reason);
    }
  });

  it('reads frames of every size around its pieces and windows', () => {
    const sizes = [1, 1000, 65_000, 1_048_000, 1_048_576 * 3, 10, 17 * 1_048_576, 3, 1_000_000];
    const made = sizes.map((size, index) => ({ payload: String.fromCharCode(97 + index).repeat(size) }));
    using reader = MmapWalReader.open(fileOf(makeSegment({ records: made, blockBytes: 4096 })));
    const cursor = reader.cursor();
    const found: [number, number][] = [];
    while (cursor.next()) {
      const { payload } = cursor;
      found.push([payload.length, payload[payload.length - 1] as number]);
    }
    expect(found).toEqual(sizes.map((size, index) => [size, 97 + index]));
    expect(reader.nextRecord()?.payload[0]).toBe(97);
  });

  it('refuses to decode records whose compression cannot be valid', () => {
    const segment = makeSegment({ records: [{ payload: 'not deflated' }] });
    using reader = MmapWalReader.open(fileOf(segment), { maxPayloadBytes: 100 });
    expect(reader.nextRecord()?.lsn).toBe(1);
  });
});

describe('MmapWalReader.open', () => {
  it('reports what is wrong with its file', () => {
    const directory = temporaryDirectory();
    const write = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(directory, name), bytes);
      return join(directory, name);
    };
    mkdirSync(join(directory, 'folder'));
    expect(codeOf(() => MmapWalReader.open(join(directory, 'nothing')))).toBe('WAL_NOT_FOUND');
    expect(codeOf(() => MmapWalReader.open(join(directory, 'folder')))).toBe('WAL_BAD_HEADER');
    expect(codeOf(() => MmapWalReader.open(write('empty', new Uint8Array(0))))).toBe('WAL_BAD_HEADER');
    expect(codeOf(() => MmapWalReader.open(write('text', Buffer.from('x'.repeat(5000)))))).toBe('WAL_BAD_HEADER');
    expect(codeOf(() => MmapWalReader.open(7 as unknown as string))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => MmapWalReader.open('x', { keyring: 1 } as never))).toBe('ERR_INVALID_ARG_TYPE');
    expect(codeOf(() => MmapWalReader.open('x', { keyRing: 1 } as never))).toBe('ERR_INVALID_ARG_TYPE');
  });

  it('opens a segment under any name', () => {
    const { bytes } = makeSegment({ records: records(3) });
    const path = join(temporaryDirectory(), 'copy of a segment');
    writeFileSync(path, bytes);
    using reader = MmapWalReader.open(path);
    expect([...reader].length).toBe(3);
    expect(reader.isMapped).toBe(false);
  });
});

describe.skipIf(!canMap)('a mapped segment', () => {
  it('is protected by a shared lock until the reader is closed', () => {
    const path = sealedFile(makeSegment({ records: records(3) }));
    const reader = MmapWalReader.open(path);
    const fd = openSync(path, 'r+');
    expect(lockFile(fd, 'exclusive')).toBe(false);
    using other = MmapWalReader.open(path);
    expect(other.isMapped).toBe(true);
    reader.close();
    expect(lockFile(fd, 'exclusive')).toBe(false);
    other.close();
    expect(lockFile(fd, 'exclusive')).toBe(true);
    closeSync(fd);
  });

  it('releasePages reduces its resident bytes, and views stay valid', () => {
    const made = Array.from({ length: 200 }, (_, index) => ({
      payload: String.fromCharCode(33 + (index % 90)).repeat(100_000),
    }));
    const path = sealedFile(makeSegment({ records: made, blockBytes: 4096 }));
    // Only what is on disk can be dropped.
    spawnSync('sync', [path]);
    using reader = MmapWalReader.open(path);
    const views = [...reader].map(({ payload }) => payload);
    const before = reader.residentBytes;
    expect(before).toBeGreaterThan(15_000_000);
    reader.releasePages();
    expect(reader.residentBytes).toBeLessThan(before / 2);
    expect(views.map((view) => view[99_999])).toEqual(made.map(({ payload }) => payload.charCodeAt(0)));
    expect(reader.residentBytes).toBeGreaterThan(0);
  });

  it('that is cut ends in a clear error', () => {
    const made = Array.from({ length: 300 }, () => ({ payload: 'x'.repeat(100_000) }));
    const path = sealedFile(makeSegment({ records: made, blockBytes: 4096 }));
    using reader = MmapWalReader.open(path);
    const cursor = reader.cursor();
    cursor.next();
    truncateSync(path, 5_000_000);
    const failure = (): WalError => {
      try {
        while (cursor.next());
      } catch (error) {
        return error as WalError;
      }
      throw new Error('it did not fail');
    };
    expect(failure()).toMatchObject({ code: 'WAL_CORRUPT', path, reason: 'cut-while-mapped' });
  });

  it('that is overwritten is read up to there', () => {
    const made = Array.from({ length: 300 }, () => ({ payload: 'x'.repeat(100_000) }));
    const segment = makeSegment({ records: made, blockBytes: 4096 });
    const path = sealedFile(segment);
    using reader = MmapWalReader.open(path);
    reader.nextRecord();
    const fd = openSync(path, 'r+');
    writeSync(fd, new Uint8Array(8192).fill(9), 0, 8192, segment.offsets[200] as number);
    closeSync(fd);
    let count = 1;
    while (reader.nextRecord() !== undefined) count++;
    expect([count, reader.stopReason]).toEqual([200, 'bad-frame']);
  });

  it('is read without a mapping while a writer reuses its file', () => {
    const path = sealedFile(makeSegment({ records: records(3) }));
    const fd = openSync(path, 'r+');
    expect(lockFile(fd, 'exclusive')).toBe(true);
    using reader = MmapWalReader.open(path);
    expect(reader.isMapped).toBe(false);
    expect([...reader].length).toBe(3);
    closeSync(fd);
  });
});

it('a file that is reused while it is read without a mapping is reported', () => {
  const path = writeSegments(temporaryDirectory(), [
    makeSegment({ records: Array.from({ length: 400 }, () => ({ payload: 'x'.repeat(100_000) })), blockBytes: 4096 }),
  ])[0] as string;
  using reader = MmapWalReader.open(path);
  reader.nextRecord();
  const next = makeSegment({ number: 2, firstLsn: 900, records: records(3), blockBytes: 4096 });
  const size = readFileSync(path).length;
  writeFileSync(path, next.bytes);
  appendFileSync(path, new Uint8Array(size - next.bytes.length).fill(3));
  expect(
    codeOf(() => {
      while (reader.nextRecord() !== undefined);
    }),
  ).toBe('WAL_TRUNCATED');
});
