import { Batch, SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

const DAY_MS = 24 * 3600 * 1000;
const BEGIN = 1_700_000_000_000;

function opened() {
  const environment = new TestEnvironment();
  const io = createMemoryStorageIo();
  const open = () =>
    SegmentedWal.openSync({ directory: DIRECTORY, io, blockBytes: 512, markAfterMs: 0, ...environment.options });
  const at = (day: number): void => {
    environment.time = BEGIN + day * DAY_MS;
  };
  at(0);
  return { environment, io, open, wal: open(), at };
}

const days = (wal: SegmentedWal): number[] =>
  [...wal.replay()].map(({ timestampMs }) => (timestampMs - BEGIN) / DAY_MS);

describe('the time of a record', () => {
  test('is exact however long ago its segment was created: the log rolls before the time cannot be expressed', () => {
    const { wal, open, at } = opened();
    const said = [0, 1, 49, 49.7, 49.8, 60, 99, 110, 400];
    for (const day of said) {
      at(day);
      wal.append(`day ${day}`);
      wal.syncSync();
    }
    expect(days(wal)).toEqual(said);
    expect(wal.listSegments().map(({ createdAtMs }) => (createdAtMs - BEGIN) / DAY_MS)).toEqual([0, 49.8, 110, 400]);
    expect([...wal.replay({ fromTimeMs: BEGIN + 55 * DAY_MS })].map(({ lsn }) => lsn)).toEqual([6, 7, 8, 9]);
    wal.closeSync();
    const again = open();
    expect(days(again)).toEqual(said);
    again.closeSync();
  });

  test('is right for the first record of a log that was made long ago', () => {
    const { wal, open, at, io } = opened();
    at(60);
    wal.append('first');
    wal.syncSync();
    expect(days(wal)).toEqual([60]);
    expect(wal.listSegments()).toHaveLength(1);
    expect(io.list(DIRECTORY).filter((name) => name.startsWith('wal-'))).toHaveLength(1);
    wal.closeSync();
    at(130);
    const again = open();
    at(200);
    again.append('second');
    again.syncSync();
    expect(days(again)).toEqual([60, 200]);
    again.closeSync();
  });

  test('is right for a batch', () => {
    const { wal, at } = opened();
    wal.append('before');
    wal.flushSync();
    at(50);
    const batch = new Batch();
    for (const text of ['a', 'b', 'c']) batch.add(text);
    wal.appendBatch(batch);
    wal.syncSync();
    expect(days(wal)).toEqual([0, 50, 50, 50]);
    wal.closeSync();
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e300, -1])(
    'does not make the log roll by a clock that says %d',
    (time) => {
      const { wal, environment } = opened();
      wal.append('before');
      wal.syncSync();
      environment.time = time;
      for (let record = 0; record < 10; record++) {
        wal.append('odd');
        wal.syncSync();
      }
      expect(wal.listSegments()).toHaveLength(1);
      environment.time = BEGIN + DAY_MS;
      wal.append('after');
      wal.syncSync();
      expect([...wal.replay()].at(-1)?.timestampMs).toBe(BEGIN + DAY_MS);
      wal.closeSync();
    },
  );
});
