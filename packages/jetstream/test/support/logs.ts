import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { parseSegmentFileName } from '@walstack/codec';
import { LogTail } from '@walstack/mmap-reader';
import { asStored, type StoredRecord } from '@walstack/mmap-reader/internal';
import { openStorageIo } from '@walstack/storage-io';
import type { Wal } from '@walstack/wal';
import { expect } from 'vitest';
import { temporaryDirectory } from '../../../../harness/test-kit/temporary-directory.js';
import { restoreLog } from '../../src/index.js';

/** Commits so many records, several at a time; each tenth in a batch of three. */
export async function commitMany(wal: Wal, count: number, bytes = 100): Promise<void> {
  for (let done = 0; done < count; done += 3) {
    if (done % 10 === 0) {
      const batch = wal.batch();
      for (let each = 0; each < 3; each++)
        batch.add(payload(wal.lastLsn + 1 + each, bytes), { type: each, meta: 'batch' });
      await wal.commitBatch(batch);
    } else await Promise.all([1, 2, 3].map((type) => wal.commit(payload(wal.lastLsn + 1, bytes), { type })));
  }
}

const payload = (lsn: number, bytes: number): string => `record ${lsn} `.padEnd(bytes, '.');

/** All records of the log in a directory as they are stored. */
export async function storedRecords(directory: string): Promise<readonly StoredRecord[]> {
  const io = openStorageIo('auto', { needs: 'async' });
  const tail = new LogTail(io, directory, asStored({ from: 'first' }));
  const records: StoredRecord[] = [];
  while (await tail.advance()) {
    for (let record = tail.next(); record !== undefined; record = tail.next()) records.push(record as StoredRecord);
  }
  tail.close();
  await io.dispose();
  return records;
}

/** Restores the stream, and expects it to have each record of the log once, in order, as it is in the log. */
export async function expectReplicated(directory: string, options: Parameters<typeof restoreLog>[1]): Promise<void> {
  const restored = join(temporaryDirectory(), 'restored');
  const report = await restoreLog(restored, options);
  const records = await storedRecords(directory);
  expect(report).toMatchObject({ firstLsn: 1, lastLsn: records.at(-1)?.lsn, records: records.length });
  expectSameBytes(directory, restored, records);
  const found = await storedRecords(restored);
  expect(found.map(({ lsn }) => lsn)).toEqual(records.map(({ lsn }) => lsn));
}

/** Expects the files of a restored log to be those of the original up to its last record. */
export function expectSameBytes(original: string, restored: string, records: readonly StoredRecord[]): void {
  const names = readdirSync(restored).filter((name) => parseSegmentFileName(name) !== undefined);
  const ends = new Map(records.map(({ segment, position, bytes }) => [segment.number, position + bytes.length]));
  expect(names.map((name) => parseSegmentFileName(name)?.number)).toEqual([...ends.keys()]);
  for (const name of names) {
    const end = ends.get(parseSegmentFileName(name)?.number ?? 0);
    const [one, other] = [original, restored].map((directory) => readFileSync(join(directory, name)).subarray(0, end));
    expect(Buffer.compare(one as Buffer, other as Buffer), name).toBe(0);
  }
}

/** Calls a function with the API of a server. */
export async function withManager<T>(server: string, f: (manager: JetStreamManager) => Promise<T>): Promise<T> {
  const connection = await connect({ servers: server });
  try {
    return await f(await jetstreamManager(connection));
  } finally {
    await connection.close();
  }
}

/** Waits until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5));
}
