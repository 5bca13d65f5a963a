import { WalError } from '@walstack/codec';
import { LogTail, type LogTailOptions } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo } from '@walstack/storage-io';
import { describe, expect, test } from 'vitest';
import { thrown } from '../../../harness/test-kit/outcomes.js';
import { DIRECTORY } from './support/logs.js';

/** A log of several segments with records of the LSNs 1 to 40, and its checkpoint at the tenth. */
async function logOf40() {
  const io = createMemoryStorageIo();
  const wal = await SegmentedWal.open({ directory: DIRECTORY, io, blockBytes: 512, segmentBytes: 2048 });
  for (let each = 0; each < 40; each++) wal.append('x'.repeat(200));
  await wal.checkpoint(10);
  return { io, wal };
}

const lsns = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

function read(tail: LogTail, found: number[]): void {
  while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
}

describe('what a function among the options throws ends the call, whatever error it is: with', () => {
  const failure = new WalError('WAL_TRUNCATED', 'of another log', { lsn: 1, firstLsn: 30 });
  /** A function that throws once, when it is called for the `at`-th time. */
  const failing = <T>(value: T, at: number): (() => T) => {
    let calls = 0;
    return () => {
      if (++calls === at) throw failure;
      return value;
    };
  };

  test.each<[string, LogTailOptions]>([
    ['upTo', { upTo: failing(Number.MAX_SAFE_INTEGER, 4) }],
    ['durable', { durable: failing(0, 1) }],
    ['keyRing', { keyRing: failing(undefined, 3) }],
    ['encryptedFrom', { encryptedFrom: failing(undefined, 1) }],
  ])('%s no record is skipped or comes again', async (_name, options) => {
    const { io, wal } = await logOf40();
    const tail = new LogTail(io, DIRECTORY, { ...options, onTruncated: 'skip' });
    const found: number[] = [];
    expect(thrown(() => read(tail, found))).toBe(failure);
    read(tail, found);
    expect([found, tail.skipped]).toEqual([lsns(1, 40), []]);
    tail.close();
    await wal.close();
  });

  test('upTo a reading from the checkpoint ends, and does not begin again without end', async () => {
    const { io, wal } = await logOf40();
    let calls = 0;
    const upTo = (): number => {
      if (++calls > 100) throw new Error('called without end');
      throw new WalError('WAL_TRUNCATED', 'of another log', { lsn: 11, firstLsn: 30 });
    };
    const tail = new LogTail(io, DIRECTORY, { from: 'checkpoint', upTo });
    expect(thrown(() => tail.advanceSync())).toMatchObject({ code: 'WAL_TRUNCATED', message: 'of another log' });
    expect(calls).toBe(1);
    tail.close();
    await wal.close();
  });
});

describe('inside matches', () => {
  test.each<[string, (tail: LogTail) => unknown]>([
    ['next', (tail) => tail.next()],
    ['advanceSync', (tail) => tail.advanceSync()],
  ])('%s is refused, and every record comes once', async (_name, call) => {
    const { io, wal } = await logOf40();
    const refused: WalError[] = [];
    const tail: LogTail = new LogTail(io, DIRECTORY, {
      matches: () => {
        if (tail.nextLsn === 5) refused.push(thrown(() => call(tail)) as WalError);
        return true;
      },
    });
    const found: number[] = [];
    read(tail, found);
    expect(found).toEqual(lsns(1, 40));
    expect(refused).toMatchObject([{ code: 'WAL_STATE', state: 'matching' }]);
    tail.close();
    await wal.close();
  });
});
