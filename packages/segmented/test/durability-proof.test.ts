import { replayDirectory } from '@walstack/mmap-reader';
import { Batch, type SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type IoFile, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { changed, flip, restore, type Snapshot, sameFiles, segmentNames, snapshot } from './support/files.js';
import { DIRECTORY, openIn, recordsOf, texts } from './support/logs.js';

/** The files of a log as a kill leaves them, and where its records stand. */
function killed(write: (wal: SegmentedWal) => void): Snapshot {
  const io = createMemoryStorageIo();
  const wal = openIn(io);
  write(wal);
  return snapshot(io, DIRECTORY);
}

function appendBatch(wal: SegmentedWal, payloads: readonly string[]): void {
  const batch = new Batch();
  for (const payload of payloads) batch.add(payload);
  wal.appendBatch(batch);
}

const placeOf = (files: Snapshot, lsn: number): number => {
  const name = segmentNames(files).at(-1) as string;
  return recordsOf(files.get(name) as Uint8Array).find((record) => record.lsn === lsn && !record.mark)?.start as number;
};

/** One bit of a record is damaged. */
function damaged(files: Snapshot, lsn: number): Snapshot {
  return changed(files, segmentNames(files).at(-1) as string, flip(placeOf(files, lsn) + 33, 1));
}

/** Refused by everything that opens or reads, with nothing changed. */
function expectRefused(files: Snapshot, facts: Record<string, unknown>): void {
  for (const recoveryMode of ['strict', 'readonly'] as const) {
    const io = restore(files);
    expect(() => openIn(io, { recoveryMode })).toThrow(expect.objectContaining({ code: 'WAL_CORRUPT', ...facts }));
    expect(sameFiles(snapshot(io, DIRECTORY), files)).toBe(true);
  }
  expect(() => [...replayDirectory(DIRECTORY, { io: restore(files) })]).toThrow(
    expect.objectContaining({ code: 'WAL_CORRUPT', ...facts }),
  );
}

test('a record that is damaged was durable, as one behind it proves that is longer than what is examined at once', () => {
  const files = killed((wal) => {
    for (const length of [10, 20, 900_000]) {
      wal.append('x'.repeat(length));
      wal.syncSync();
    }
  });
  expect(openIn(restore(files)).lastLsn).toBe(3);
  expectRefused(damaged(files, 2), { reason: 'hole', lsn: 2 });
});

describe('a batch of which the last record is damaged', () => {
  const batch = (then: (wal: SegmentedWal) => void): Snapshot =>
    killed((wal) => {
      appendBatch(wal, ['one', 'two', 'three']);
      wal.syncSync();
      then(wal);
    });

  test('was durable, as the checkpoint proves that lies inside of it', () => {
    for (const lsn of [1, 2]) {
      const files = batch((wal) => wal.checkpointSync(lsn));
      expect(openIn(restore(files)).lastLsn).toBe(3);
      expectRefused(damaged(files, 3), { reason: 'hole-before-checkpoint', lsn: 3 });
    }
  });

  test('was durable, as a hold proves that lies inside of it or behind it', () => {
    for (const lsn of [2, 3, 4]) {
      const files = batch((wal) => wal.holdSync('replica', lsn));
      expect(openIn(restore(files)).holds).toEqual({ replica: lsn });
      expectRefused(damaged(files, 3), { reason: 'hole-before-hold', lsn: 3 });
    }
  });

  test('is dropped whole where a hold needs it from its beginning on, and nothing else says that it was durable', () => {
    const files = damaged(
      batch((wal) => wal.holdSync('replica', 1)),
      3,
    );
    const wal = openIn(restore(files));
    expect([wal.nextLsn, wal.holds]).toEqual([1, { replica: 1 }]);
  });

  test('was durable, as a later frame proves', () => {
    const files = batch((wal) => {
      wal.append('four');
      wal.syncSync();
    });
    expectRefused(damaged(files, 3), { reason: 'hole', lsn: 3 });
    expectRefused(damaged(files, 2), { reason: 'hole', lsn: 2 });
  });
});

describe('a hold', () => {
  test('is preceded by a sync: what stands before it is durable', () => {
    const files = killed((wal) => {
      for (let lsn = 1; lsn <= 30; lsn++) wal.append(`record ${lsn}`);
      wal.holdSync('replica', wal.nextLsn);
      expect(wal.durableLsn).toBe(30);
    });
    const wal = openIn(restore(files));
    expect([wal.lastLsn, wal.holds]).toEqual([30, { replica: 31 }]);
  });

  test('asks for no sync where everything before it is durable', () => {
    const io = createMemoryStorageIo();
    const wal = openIn(io);
    for (let lsn = 1; lsn <= 5; lsn++) wal.append(`record ${lsn}`);
    wal.syncSync();
    wal.append('record 6');
    wal.holdSync('replica', 6);
    expect(wal.durableLsn).toBe(5);
  });

  test('that is ahead of the log proves a loss; salvage lowers it', () => {
    const files = killed((wal) => {
      for (let lsn = 1; lsn <= 10; lsn++) wal.append(`record ${lsn}`);
      wal.holdSync('replica', 11);
    });
    const lost = damaged(files, 8);
    expectRefused(lost, { reason: 'hole-before-hold', lsn: 8 });
    const wal = openIn(restore(lost), { recoveryMode: 'salvage' });
    expect(wal.nextLsn).toBe(8);
    expect(wal.holds['replica']).toBeLessThanOrEqual(8);
  });
});

/** A backend that calls a function before each read of a segment, with the number of reads so far. */
function beforeReads(io: StorageIo, happen: (path: string, reads: number) => void): StorageIo {
  let reads = 0;
  return new Proxy(io, {
    get(target, name) {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== 'function') return value;
      if (name !== 'submitRead') return value.bind(target) as unknown;
      return (file: IoFile, into: Uint8Array, offset: number) => {
        if (file.path.endsWith('.seg')) happen(file.path, reads++);
        return target.submitRead(file, into, offset);
      };
    },
  });
}

/** Writes over a range of a file: zeros look as if a page had been dropped after a sync that failed. */
function overwrite(io: StorageIo, path: string, at: number, bytes: Uint8Array): void {
  const file = io.open(path);
  runSync(io, ioSteps.write(io, file, bytes, at));
  io.close(file);
}

test.each(['strict', 'salvage'] as const)(
  'what is written again are the bytes that were verified, at whichever read a page is dropped, with recoveryMode %s',
  (recoveryMode) => {
    const written = killed((wal) => {
      wal.append('first');
      wal.syncSync();
      if (recoveryMode === 'salvage') wal.checkpointSync(1);
      for (let lsn = 2; lsn <= 9; lsn++) wal.append(`${lsn}`.repeat(300));
      wal.flushSync();
    });
    // A log with a damaged checkpoint has to be salvaged.
    const files = recoveryMode === 'salvage' ? changed(written, 'checkpoint', flip(20)) : written;
    const from = placeOf(files, 6);
    let most = 1;
    for (let n = 0; n < most; n++) {
      const memory = restore(files);
      let isOpen = false;
      const io = beforeReads(memory, (path, reads) => {
        if (isOpen) return;
        most = Math.max(most, reads + 1);
        if (reads === n) overwrite(memory, path, from, new Uint8Array(700));
      });
      const wal = openIn(io, { recoveryMode });
      isOpen = true;
      const found = texts(wal.replay());
      expect(found).toHaveLength(wal.lastLsn);
      expect([5, 9]).toContain(wal.lastLsn);
      // As if the process had been killed: what it has said is there.
      expect(texts(openIn(restore(snapshot(memory, DIRECTORY))).replay())).toEqual(found);
    }
    expect(most).toBeGreaterThan(3);
  },
);

test('a log that is another one each time that it is read is refused at last', () => {
  const files = killed((wal) => {
    for (let lsn = 1; lsn <= 9; lsn++) wal.append(`${lsn}`.repeat(300));
    wal.flushSync();
  });
  const bytes = files.get(segmentNames(files)[0] as string) as Uint8Array;
  const at = placeOf(files, 6);
  for (const steady of [1, 2, 3, 4, 5]) {
    const memory = restore(files);
    const io = beforeReads(memory, (path, reads) => {
      const isThere = Math.floor(reads / steady) % 2 === 0;
      overwrite(memory, path, at, isThere ? bytes.subarray(at, at + 600) : new Uint8Array(600));
    });
    try {
      const wal = openIn(io);
      expect(texts(openIn(restore(snapshot(memory, DIRECTORY))).replay()).length).toBeLessThanOrEqual(wal.lastLsn);
    } catch (error) {
      expect(error).toMatchObject({ code: 'WAL_CORRUPT' });
    }
  }
});
