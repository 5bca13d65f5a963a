import { linkSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyRing, MarkType } from '@walstack/codec';
import { LogTail, type ResumePoint } from '@walstack/mmap-reader';
import { SegmentedWal, type SegmentedWalConfig } from '@walstack/segmented';
import { createMemoryStorageIo, createSyncFsStorageIo, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { BACKENDS, TestEnvironment } from './support/environments.js';
import { restore, type Snapshot, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, texts } from './support/logs.js';

const KEY = { id: 1, key: new Uint8Array(32).fill(7) };

/** Opens the log, commits a record, and closes it. @returns the number of its segments meanwhile */
function addOne(io: StorageIo, payload: string, config: Partial<SegmentedWalConfig> = {}): number {
  const wal = openIn(io, config);
  wal.append(payload);
  wal.syncSync();
  const { length } = wal.listSegments();
  wal.closeSync();
  return length;
}

/** LSN, type and block of each mark of the newest segment that {@link addOne} has written. */
function marksOf(io: StorageIo): { lsn: number; type: number; block: number }[] {
  const files = snapshot(io, DIRECTORY);
  const bytes = files.get(segmentNames(files).at(-1) as string) as Uint8Array;
  const view = new DataView(bytes.buffer);
  const marks: { lsn: number; type: number; block: number }[] = [];
  for (let at = 512; at + 32 <= bytes.length; ) {
    const length = 512 - (at % 512) < 8 ? 0 : view.getUint32(at, true);
    if (length > 0 && view.getUint8(at + 26) === 16) {
      const type = view.getUint32(at + 16, true);
      marks.push({ lsn: Number(view.getBigUint64(at + 8, true)), type, block: Math.floor(at / 512) });
    }
    at += length === 0 ? 512 - (at % 512) : 8 + length;
  }
  return marks;
}

describe.each(BACKENDS)('%s', (_name, make) => {
  test('a log that is opened, written and closed many times stays in one segment', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'walstack-goes-on-'));
    const io = make();
    try {
      const config = { directory: join(directory, 'log'), io };
      for (let run = 1; run <= 25; run++) {
        const wal = await SegmentedWal.open(config);
        expect(wal.nextLsn).toBe(run);
        expect(wal.recovery.cleanlyClosed).toBe(true);
        wal.append(`run ${run}`);
        await wal.sync();
        await wal.close();
      }
      const wal = await SegmentedWal.open(config);
      expect(wal.listSegments().length).toBe(1);
      const payloads: string[] = [];
      for await (const { payload } of wal.replay()) payloads.push(Buffer.from(payload).toString());
      expect(payloads).toEqual(Array.from({ length: 25 }, (_, index) => `run ${index + 1}`));
      await wal.close();
    } finally {
      await io.dispose();
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

test('the marks: closed, and in the next block opened, and in the one behind it that of the session', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  addOne(io, 'b', new TestEnvironment(5).options);
  const marks = marksOf(io);
  expect(marks.map(({ lsn, block }) => [lsn, block])).toEqual([
    [2, 1],
    [2, 2],
    [2, 3],
    [3, 3],
  ]);
  expect(marks.map(({ type }) => (type >= 0x8000_0000 ? 'session' : type))).toEqual([
    MarkType.closed,
    MarkType.opened,
    'session',
    MarkType.closed,
  ]);
});

test('the mark that the log goes on is counted, and that of its close', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const wal = openIn(io);
  wal.append('b');
  wal.syncSync();
  expect(wal.stats().marks).toBe(1);
  wal.closeSync();
  expect(wal.stats().marks).toBe(2);
});

test('the mark that the log goes on has the same bytes whichever process writes it', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const closed = snapshot(io, DIRECTORY);
  const blocksOf = (seed: number): Buffer => {
    const environment = new TestEnvironment(seed);
    environment.time += seed * 1000;
    const copy = restore(closed);
    addOne(copy, `by ${seed}`, environment.options);
    const files = snapshot(copy, DIRECTORY);
    // Header, records with the mark of the clean close, and the mark that it goes on.
    return Buffer.from(files.get(segmentNames(files)[0] as string) as Uint8Array).subarray(0, 3 * 512);
  };
  expect(blocksOf(5).equals(blocksOf(6))).toBe(true);
});

test('opening and closing changes nothing, whatever is read meanwhile', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const before = snapshot(io, DIRECTORY);
  for (let run = 0; run < 3; run++) {
    const wal = openIn(io);
    expect(wal.position).toBe(512);
    wal.syncSync();
    expect(texts(wal.replay())).toEqual(['a']);
    wal.closeSync();
  }
  expect(snapshot(io, DIRECTORY)).toEqual(before);
});

test('positions do not decrease, and a position finds its record', () => {
  const io = createMemoryStorageIo();
  let before = 0;
  for (let run = 1; run <= 5; run++) {
    const wal = openIn(io);
    expect(wal.position).toBeGreaterThanOrEqual(before);
    expect(wal.durablePosition).toBe(wal.position);
    wal.append(`run ${run}`);
    wal.syncSync();
    expect(wal.lsnBeforeSync(wal.position)).toBe(run);
    before = wal.position;
    wal.closeSync();
  }
});

test('what goes on is discarded when the log is closed with discard, and nothing is written', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const before = snapshot(io, DIRECTORY);
  const wal = openIn(io);
  wal.append('b');
  wal.closeSync({ discard: true });
  expect(snapshot(io, DIRECTORY)).toEqual(before);
});

test('a new segment is made where the log is encrypted, or will be', () => {
  const io = createMemoryStorageIo();
  const keyRing = KeyRing.of(KEY);
  addOne(io, 'a', { keyRing });
  expect(addOne(io, 'b', { keyRing })).toBe(2);
  const plain = createMemoryStorageIo();
  addOne(plain, 'a');
  expect(addOne(plain, 'b', { keyRing, allowPlaintext: true })).toBe(2);
  const later = createMemoryStorageIo();
  addOne(later, 'a');
  const wal = openIn(later);
  wal.setEncryptionRing(keyRing);
  wal.append('b');
  wal.syncSync();
  expect(wal.listSegments().map(({ keyId }) => keyId)).toEqual([0, 1]);
  expect(texts(wal.replay())).toEqual(['a', 'b']);
  wal.closeSync();
});

test('a new segment is made where a ring is set behind a first append that has failed', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'plain');
  let payload: Uint8Array | undefined;
  const clock = new TestEnvironment(5).options;
  const now = (): number => {
    if (payload !== undefined) structuredClone(payload.buffer, { transfer: [payload.buffer as ArrayBuffer] });
    payload = undefined;
    return clock.now();
  };
  const wal = openIn(io, { ...clock, now });
  payload = new Uint8Array(100);
  expect(() => wal.append(payload as Uint8Array)).toThrow('changed its length');
  wal.setEncryptionRing(KeyRing.of(KEY));
  wal.append('secret');
  wal.closeSync();
  for (const bytes of snapshot(io, DIRECTORY).values()) expect(Buffer.from(bytes).includes('secret')).toBe(false);
  const again = openIn(io, { keyRing: KeyRing.of(KEY) });
  expect(texts(again.replay())).toEqual(['plain', 'secret']);
  again.closeSync();
});

test('a new segment is made where the clock was ahead when the last one was made', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a', { now: () => 2_000_000 });
  addOne(io, 'b', { now: () => 1_000_000 });
  addOne(io, 'c', { now: () => 1_000_001 });
  const wal = openIn(io);
  expect([...wal.replay()].map(({ timestampMs }) => timestampMs)).toEqual([2_000_000, 1_000_000, 1_000_001]);
  expect(wal.listSegments().length).toBe(2);
  wal.closeSync();
});

test('a new segment is made where the blocks have another size, or the segment is full', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  expect(addOne(io, 'b', { blockBytes: 1024 })).toBe(2);
  expect(addOne(io, 'c', { blockBytes: 1024, segmentBytes: 4096 })).toBe(2);
  expect(addOne(io, 'd', { blockBytes: 1024, segmentBytes: 4096 })).toBe(3);
  // There would be room for a small record.
  const other = createMemoryStorageIo();
  addOne(other, 'a');
  expect(addOne(other, 'x'.repeat(3000), { segmentBytes: 4096 })).toBe(2);
});

test('a new segment is made where the file is longer than what was written: its cut may still be carried out', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const files = snapshot(io, DIRECTORY);
  const [name, bytes] = [...files].find(([each]) => each.endsWith('.seg')) as [string, Uint8Array];
  const longer: Snapshot = new Map(files).set(name, Buffer.concat([bytes, new Uint8Array(512)]));
  const copy = restore(longer);
  expect(openIn(copy).recovery.cleanlyClosed).toBe(true);
  const again = restore(longer);
  expect(addOne(again, 'b')).toBe(2);
});

test('a new segment is made where the file has another name', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'walstack-goes-on-'));
  const io = createSyncFsStorageIo();
  try {
    const config = { directory: join(directory, 'log'), io };
    const add = (payload: string): number => {
      const wal = SegmentedWal.openSync(config);
      wal.append(payload);
      wal.syncSync();
      const { length } = wal.listSegments();
      wal.closeSync();
      return length;
    };
    expect([add('a'), add('b')]).toEqual([1, 1]);
    const name = 'wal-0000000001-00000000000000000001.seg';
    linkSync(join(directory, 'log', name), join(directory, 'backup'));
    const before = readFileSync(join(directory, 'backup'));
    expect(add('c')).toBe(2);
    expect(readFileSync(join(directory, 'backup')).equals(before)).toBe(true);
  } finally {
    await io.dispose();
    rmSync(directory, { recursive: true, force: true });
  }
});

test('the file of a segment that the log has gone on in is not reused', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const config = { segmentBytes: 8192, preallocate: 'write', recycleSegments: 4 } as const;
  const wal = openIn(io, config);
  for (let record = 0; record < 40; record++) {
    wal.append('x'.repeat(1000));
    wal.syncSync();
  }
  const [, second, third] = wal.listSegments();
  expect(third).toBeDefined();
  expect(wal.truncateBeforeSync(second?.firstLsn ?? 0)).toMatchObject({ segmentsDeleted: 1, segmentsRecycled: 0 });
  expect(wal.truncateBeforeSync(third?.firstLsn ?? 0)).toMatchObject({ segmentsDeleted: 0, segmentsRecycled: 1 });
  wal.closeSync();
});

test('a log that ends with the mark that it goes on was not closed, and gets a new segment', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  addOne(io, 'b');
  const files = snapshot(io, DIRECTORY);
  const [name, bytes] = [...files].find(([each]) => each.endsWith('.seg')) as [string, Uint8Array];
  const killed = restore(new Map(files).set(name, bytes.slice(0, 3 * 512)));
  const wal = openIn(killed);
  expect(wal.recovery).toMatchObject({ cleanlyClosed: false, reason: 'unclosed', records: 1 });
  expect(wal.listSegments().length).toBe(2);
  wal.closeSync();
});

test('the mark of the clean close is written again with the one behind it', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const writes: [number, number][] = [];
  const spied = restore(snapshot(io, DIRECTORY));
  const { submitWrite } = spied;
  spied.submitWrite = (...args) => {
    writes.push([args[2], args[1].length]);
    return submitWrite.apply(spied, args);
  };
  const wal = openIn(spied, { preallocate: 'none' });
  wal.append('b');
  wal.syncSync();
  expect(writes[0]).toEqual([512, 1024]);
  expect(writes.slice(1).every(([offset]) => offset >= 1536)).toBe(true);
  wal.closeSync();
});

test('the log is cut and truncated behind a segment that it has gone on in', () => {
  const io = createMemoryStorageIo();
  for (const payload of ['a', 'b', 'c']) addOne(io, payload);
  const cut = openIn(io);
  cut.truncateAfterSync(2);
  cut.append('C');
  cut.closeSync();
  const wal = openIn(io);
  expect(texts(wal.replay())).toEqual(['a', 'b', 'C']);
  wal.truncateBeforeSync(4);
  expect(wal.firstLsn).toBe(4);
  wal.append('d');
  wal.closeSync();
  expect(texts(openIn(io).replay())).toEqual(['d']);
});

describe('resume points', () => {
  /** The log of an application, and a copy of it as it was when it was closed with one record. Both go on. */
  function apart(): { original: StorageIo; copy: StorageIo } {
    const original = createMemoryStorageIo();
    addOne(original, 'a');
    const copy = restore(snapshot(original, DIRECTORY));
    const add = (io: StorageIo, seed: number): void => {
      addOne(io, `b of ${seed}`, new TestEnvironment(seed).options);
      addOne(io, `c of ${seed}`, new TestEnvironment(seed + 1).options);
    };
    add(original, 10);
    add(copy, 20);
    expect(segmentNames(snapshot(copy, DIRECTORY)).length).toBe(1);
    return { original, copy };
  }

  test('a restored copy that goes on in the same segment is told from the original', () => {
    turnsByLooks(0);
    const { original, copy } = apart();
    const read = new LogTail(original, DIRECTORY, { from: 1 });
    read.advanceSync();
    for (let lsn = 1; lsn <= 3; lsn++) {
      expect(read.next()?.lsn).toBe(lsn);
      const from = JSON.parse(JSON.stringify(read.resumePoint));
      for (const io of [original, copy]) {
        addOne(io, 'further', new TestEnvironment(lsn + 30).options);
        const tail = new LogTail(io, DIRECTORY, { from });
        const isSame = io === original || lsn === 1;
        const next = (): number | undefined => (tail.advanceSync() ? tail.next()?.lsn : undefined);
        if (isSame) expect(next()).toBe(lsn + 1);
        else expect(next).toThrow(expect.objectContaining({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn: 1 }));
        // And again, when it is tried again.
        if (!isSame) expect(next).toThrow(expect.objectContaining({ reason: 'cut-back' }));
        tail.close();
      }
    }
    read.close();
  });

  test.each(['before', 'after'])(
    'a copy is told from the original when the tail resumes %s the copy rolls behind the record read',
    (when) => {
      turnsByLooks(0);
      const original = createMemoryStorageIo();
      addOne(original, 'a');
      const copy = restore(snapshot(original, DIRECTORY));
      addOne(original, 'b', new TestEnvironment(10).options);
      addOne(copy, 'other b', new TestEnvironment(20).options);
      const read = new LogTail(original, DIRECTORY, { from: 1 });
      read.advanceSync();
      for (let lsn = 1; lsn <= 2; lsn++) expect(read.next()?.lsn).toBe(lsn);
      const from = read.resumePoint as ResumePoint;
      expect(from).toMatchObject({ lsn: 3, segment: 1 });
      read.close();
      const roll = (io: StorageIo): void =>
        void addOne(io, 'c', { blockBytes: 1024, ...new TestEnvironment(30).options });
      roll(original);
      const nextOf = (tail: LogTail): number | undefined => {
        while (tail.advanceSync()) {
          const record = tail.next();
          if (record !== undefined) return record.lsn;
        }
        return undefined;
      };
      const same = new LogTail(original, DIRECTORY, { from });
      expect(nextOf(same)).toBe(3);
      same.close();

      const tail = new LogTail(copy, DIRECTORY, { from });
      const next = (): number | undefined => nextOf(tail);
      const cutBack = expect.objectContaining({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn: 1 });
      if (when === 'before') expect(next).toThrow(cutBack);
      roll(copy);
      expect(segmentNames(snapshot(copy, DIRECTORY)).length).toBe(2);
      expect(next).toThrow(cutBack);
      expect(next).toThrow(cutBack);
      tail.close();
    },
  );

  test('a writer gives the same points as a reader', () => {
    const { original } = apart();
    const wal = openIn(original, new TestEnvironment(40).options);
    wal.append('d');
    wal.syncSync();
    wal.closeSync();
    const rolled = openIn(original, { segmentBytes: 1024 });
    rolled.append('e');
    rolled.syncSync();
    const tail = new LogTail(original, DIRECTORY, { from: 1 });
    tail.advanceSync();
    for (let lsn = 1; lsn <= 5; lsn++) {
      while (tail.next()?.lsn !== lsn) tail.advanceSync();
      expect(rolled.resumePointAt(lsn + 1)).toEqual(tail.resumePoint);
    }
    expect(tail.resumePoint).toMatchObject({ lsn: 6, segment: 2, session: '0'.repeat(16) });
    tail.close();
    rolled.closeSync();
  });

  test('a point at the end of a segment is not in a copy in which that segment goes on', () => {
    const { original, copy } = apart();
    const wal = openIn(original, { segmentBytes: 1024 });
    wal.append('d');
    wal.syncSync();
    const read = new LogTail(original, DIRECTORY, { from: 4 });
    read.advanceSync();
    const from = read.resumePoint;
    expect(from).toMatchObject({ lsn: 4, segment: 1, session: 'end' });
    read.close();
    wal.closeSync();
    addOne(copy, 'other', new TestEnvironment(50).options);
    const tail = new LogTail(copy, DIRECTORY, { from: from as never });
    expect(() => {
      tail.advanceSync();
      tail.next();
    }).toThrow(expect.objectContaining({ reason: 'cut-back' }));
    const same = new LogTail(original, DIRECTORY, { from: from as never });
    same.advanceSync();
    expect(same.next()?.lsn).toBe(4);
    same.close();
  });

  test('a point of an earlier version, without a session, is accepted', () => {
    const { original } = apart();
    const wal = openIn(original, new TestEnvironment(40).options);
    const { session: _, ...from } = wal.resumePointAt(3) as {
      session?: string;
      lsn: number;
      segment: number;
      id: string;
    };
    wal.closeSync();
    const tail = new LogTail(original, DIRECTORY, { from });
    tail.advanceSync();
    expect(tail.next()?.lsn).toBe(3);
    tail.close();
    for (const session of ['x', 7]) {
      expect(() => new LogTail(original, DIRECTORY, { from: { ...from, session } as never })).toThrow(/session/);
    }
  });
});

test('a tail beside the writer goes on behind the marks', () => {
  const io = createMemoryStorageIo();
  addOne(io, 'a');
  const tail = new LogTail(io, DIRECTORY, { from: 1 });
  const seen: string[] = [];
  const look = (): void => {
    while (tail.advanceSync())
      for (let next = tail.next(); next; next = tail.next()) seen.push(texts([next])[0] as string);
  };
  look();
  for (const payload of ['b', 'c', 'd']) {
    addOne(io, payload);
    look();
  }
  expect(seen).toEqual(['a', 'b', 'c', 'd']);
  tail.close();
});
