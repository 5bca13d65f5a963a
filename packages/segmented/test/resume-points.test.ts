import { LogTail, type ResumePoint } from '@walstack/mmap-reader';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { expect, test } from 'vitest';
import { DIRECTORY, openIn } from './support/logs.js';

test('the point before a record is the same for a tail that has read up to it and for one that begins there', () => {
  const io = createMemoryStorageIo();
  const wal = openIn(io, { segmentBytes: 1024 });
  for (let lsn = 1; lsn <= 20; lsn++) wal.append('x'.repeat(150));
  wal.syncSync();
  expect(wal.listSegments().length).toBeGreaterThan(3);
  const read = new LogTail(io, DIRECTORY);
  for (let lsn = 1; lsn <= 20; lsn++) {
    read.advanceSync();
    const behind = new LogTail(io, DIRECTORY, { from: lsn });
    behind.advanceSync();
    // In the newest segment it is known when the first record has been read, and the session in all of them.
    if (lsn > 1 && lsn < wal.activeSegmentFirstLsn) {
      const { session: _, ...known } = read.resumePoint as ResumePoint;
      expect(behind.resumePoint).toMatchObject(known);
    }
    expect([behind.next()?.lsn, read.next()?.lsn]).toEqual([lsn, lsn]);
    expect(behind.resumePoint).toEqual(read.resumePoint);
    behind.close();
  }
  read.close();
  wal.closeSync();
});
