import { KeyRing, WalError } from '@walstack/codec';
import { LogTail, type LogTailOptions, replayDirectory } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, ioSteps, runSync, type StorageIo } from '@walstack/storage-io';
import { SimulatedDisk } from '@walstack/storage-io/simulation';
import { afterEach, describe, expect, it, test } from 'vitest';
import { thrown } from '../../../harness/test-kit/outcomes.js';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

const open: SegmentedWal[] = [];

function logIn(io: StorageIo, options: object = {}): SegmentedWal {
  const { options: environment } = new TestEnvironment();
  const config = { directory: DIRECTORY, io, blockBytes: 512, segmentBytes: 2048, ...environment, ...options };
  const wal = SegmentedWal.openSync(config);
  open.push(wal);
  return wal;
}

afterEach(() => {
  for (const wal of open.splice(0)) wal.closeSync({ discard: true });
});

function append(wal: SegmentedWal, count: number, what = 'x'): void {
  for (let each = 0; each < count; each++) wal.append(what.repeat(200));
  wal.syncSync();
}

/** A backend that does something before its calls of some kinds. */
function watched(io: StorageIo, before: (call: string, ...args: readonly unknown[]) => void): StorageIo {
  return new Proxy(io, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== 'function') return value;
      return (...args: unknown[]) => {
        if (name === 'open' || name === 'list') before(name, ...args);
        return value.apply(target, args) as unknown;
      };
    },
  });
}

/** Damages a file. */
function overwrite(io: StorageIo, path: string, position: number): void {
  const file = io.open(path);
  runSync(io, ioSteps.write(io, file, new Uint8Array(4096).fill(7), position));
  io.close(file);
}

/** Everything that there is to read now. */
function drain(tail: LogTail): number[] {
  const found: number[] = [];
  while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
  return found;
}

const lsns = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const tooManyFiles = (): WalError =>
  new WalError('WAL_IO_FAILED', 'too many open files', { operation: 'open', systemCode: 'EMFILE' });

describe('after a failure that passes', () => {
  it('a tail goes on where it was: each record comes once', () => {
    let calls = 0;
    for (let failing = 1; failing <= Math.max(1, calls); failing++) {
      const io = createMemoryStorageIo();
      const wal = logIn(io);
      calls = 0;
      const failure = tooManyFiles();
      const tail = new LogTail(
        watched(io, () => {
          if (++calls === failing) throw failure;
        }),
        DIRECTORY,
      );
      const found: number[] = [];
      let failures = 0;
      const read = (): void => {
        for (;;) {
          try {
            while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
            return;
          } catch (error) {
            expect(error).toBe(failure);
            failures++;
          }
        }
      };
      append(wal, 20);
      read();
      append(wal, 20);
      read();
      wal.truncateBeforeSync(35);
      append(wal, 20);
      read();
      expect(found).toEqual(lsns(1, 60));
      // The last round has no failure: there are no more calls.
      if (failures === 0) break;
      tail.close();
    }
    expect(calls).toBeGreaterThan(20);
  });

  it('of a key service, too', async () => {
    let failing = false;
    const key = new Uint8Array(32).fill(7);
    const io = createMemoryStorageIo();
    const wal = logIn(io, { keyRing: KeyRing.of({ id: 1, key }, [{ id: 2, key }]) });
    append(wal, 20);
    const keyRing = KeyRing.fromCallback(1, async () => {
      if (failing) throw new Error('not now');
      return key;
    });
    const tail = new LogTail(io, DIRECTORY, { keyRing });
    const found: number[] = [];
    const read = async (): Promise<void> => {
      while (await tail.advance()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
    };
    await read();
    // The segments from here on have another key, which is asked for while the tail is under way.
    wal.rotateKeySync(2);
    append(wal, 20);
    failing = true;
    await expect(read()).rejects.toMatchObject({ code: 'WAL_BAD_KEY' });
    failing = false;
    await read();
    expect(found).toEqual(lsns(1, 40));
  });
});

it('a record that cannot be decoded remains the next one', () => {
  const io = createMemoryStorageIo();
  const wal = logIn(io, { compression: { codec: 'deflate', thresholdBytes: 100 } });
  for (const text of ['a', 'b', 'c'.repeat(5000), 'd']) wal.append(text);
  wal.syncSync();
  const tail = new LogTail(io, DIRECTORY, { maxPayloadBytes: 100 });
  for (let round = 0; round < 3; round++) {
    const found: number[] = [];
    expect(() => {
      while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
    }).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
    expect([found, tail.nextLsn, tail.resumePoint?.lsn]).toEqual([round === 0 ? [1, 2] : [], 3, 3]);
    expect(() => tail.next()).toThrow(expect.objectContaining({ code: 'WAL_TOO_LARGE' }));
    expect([tail.nextLsn, tail.resumePoint?.lsn]).toEqual([3, 3]);
  }
});

it.each([false, true])(
  'what was damaged between two looks at the newest segment is said to be lost: told %s',
  (told) => {
    const io = createMemoryStorageIo();
    const wal = logIn(io, { segmentBytes: 4 * 1024 * 1024, markAfterMs: 0 });
    // More than one reading takes in.
    for (let lsn = 1; lsn <= 2000; lsn++) wal.append('x'.repeat(1000));
    wal.syncSync();
    append(wal, 1);
    const tail = new LogTail(io, DIRECTORY, told ? { durable: () => wal.durableLsn } : {});
    tail.advanceSync();
    expect(tail.next()?.lsn).toBe(1);
    overwrite(io, wal.listSegments()[0]?.path as string, 1_500_000);
    let failure: unknown;
    for (let looks = 0; looks < 40 && failure === undefined; looks++) {
      try {
        drain(tail);
      } catch (error) {
        failure = error;
      }
    }
    expect(failure).toMatchObject({ code: 'WAL_CORRUPT', reason: 'hole', lsn: tail.nextLsn });
    expect(tail.nextLsn).toBeGreaterThan(1000);
    tail.close();
  },
);

it('a failure that passes, and a change behind it, are no damage', () => {
  let calls = 0;
  const io = createMemoryStorageIo();
  const wal = logIn(io);
  append(wal, 40);
  const tail = new LogTail(
    watched(io, (call) => {
      if (call !== 'open') return;
      calls++;
      if (calls === 2) throw tooManyFiles();
      // The second reading has come as far as the first one.
      if (calls === 4) wal.resetToSync(100);
    }),
    DIRECTORY,
  );
  expect(drain(tail)).toEqual([]);
  expect(tail.nextLsn).toBe(100);
  tail.close();
});

it('a file whose next header is just being written is one that was removed', () => {
  for (const calls of [1, 2, 3, 4, 5, 6]) {
    const io = createMemoryStorageIo();
    const wal = logIn(io, { recycleSegments: 2 });
    append(wal, 30);
    let opens = 0;
    const path = wal.listSegments()[0]?.path;
    const beside = new Proxy(io, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          const result: unknown = value.apply(target, args);
          if (name !== 'open' || args[0] !== path || ++opens !== calls) return result;
          wal.truncateBeforeSync(20);
          for (const free of io.list(DIRECTORY)) if (free.startsWith('free-')) overwrite(io, `${DIRECTORY}/${free}`, 0);
          return result;
        };
      },
    });
    const tail = new LogTail(beside, DIRECTORY);
    try {
      expect(drain(tail).at(-1)).toBe(30);
    } catch (error) {
      expect(error).toMatchObject({ code: 'WAL_TRUNCATED', firstLsn: wal.firstLsn });
    }
    tail.close();
  }
});

/** What happens to a log while it is read. */
const CHANGES: readonly (readonly [string, (wal: SegmentedWal) => void])[] = [
  ['its beginning is removed', (wal) => void wal.truncateBeforeSync(wal.lastLsn)],
  [
    'it is cut and goes on',
    (wal) => {
      wal.truncateAfterSync(Math.max(wal.firstLsn, 25));
      append(wal, 60, 'y');
    },
  ],
  [
    'it is cut in front and goes on',
    (wal) => {
      wal.truncateAfterSync(wal.firstLsn + 2);
      append(wal, 60, 'y');
    },
  ],
  [
    'it is cut and its beginning removed',
    (wal) => {
      wal.truncateAfterSync(20);
      append(wal, 50, 'y');
      wal.truncateBeforeSync(50);
    },
  ],
  [
    'it begins anew',
    (wal) => {
      wal.resetToSync(7);
      append(wal, 30, 'y');
    },
  ],
];

const READERS: readonly (readonly [string, (io: StorageIo, options?: LogTailOptions) => number[]])[] = [
  ['a tail', (io) => drain(new LogTail(io, DIRECTORY))],
  ['a replay', (io) => [...replayDirectory(DIRECTORY, { io })].map(({ lsn }) => lsn)],
];

describe.each(READERS)('%s beside a writer', (_reader, read) => {
  it.each(CHANGES)('reads on, or says that what comes next was removed, when %s', (_change, change) => {
    let calls = 0;
    for (let at = 1; at <= Math.max(1, calls); at++) {
      const io = createMemoryStorageIo();
      // Files are used again, and hold other records at once.
      const wal = logIn(io, { recycleSegments: 4 });
      append(wal, 60);
      calls = 0;
      const beside = watched(io, () => {
        if (++calls === at) change(wal);
      });
      try {
        const found = read(beside);
        if (found.length > 0) expect(found).toEqual(lsns(found[0] as number, found.at(-1) as number));
      } catch (error) {
        if (!WalError.is(error, 'WAL_TRUNCATED')) expect(error).toBe('WAL_TRUNCATED');
        expect(error).toMatchObject({ firstLsn: wal.firstLsn, lsn: expect.any(Number) });
      }
      wal.closeSync({ discard: true });
    }
    expect(calls).toBeGreaterThan(5);
  });
});

describe('a tail that has come to the end', () => {
  it.each(CHANGES)(
    'goes on, or says that what comes next was removed, when the log has rolled and %s',
    (_change, change) => {
      let calls = 0;
      for (let at = 1; at <= Math.max(1, calls); at++) {
        const io = createMemoryStorageIo();
        const wal = logIn(io);
        append(wal, 20);
        let isWatched = false;
        calls = 0;
        const beside = watched(io, () => {
          if (isWatched && ++calls === at) change(wal);
        });
        const tail = new LogTail(beside, DIRECTORY);
        expect(drain(tail)).toEqual(lsns(1, 20));
        append(wal, 40);
        isWatched = true;
        try {
          expect(drain(tail)[0] ?? 21).toBe(21);
        } catch (error) {
          if (!WalError.is(error, 'WAL_TRUNCATED')) expect(error).toBe('WAL_TRUNCATED');
          expect(error).toMatchObject({ firstLsn: wal.firstLsn });
        }
        tail.close();
        wal.closeSync({ discard: true });
      }
      expect(calls).toBeGreaterThan(5);
    },
  );
});

it('returns nothing when its filter closes it', () => {
  turnsByLooks(0);
  const io = createMemoryStorageIo();
  const wal = logIn(io);
  append(wal, 5);
  let asked = 0;
  const tail: LogTail = new LogTail(io, DIRECTORY, {
    from: 1,
    matches: () => {
      if (++asked === 3) tail.close();
      return true;
    },
  });
  expect(tail.advanceSync()).toBe(true);
  expect([tail.next()?.lsn, tail.next()?.lsn, tail.next()]).toEqual([1, 2, undefined]);
  expect(() => tail.advanceSync()).toThrow(expect.objectContaining({ code: 'WAL_CLOSED' }));
});

test.each([
  ['closed', 'WAL_CLOSED'],
  ['aborted', 'WAL_ABORTED'],
] as const)('a tail that is %s while it reads the chain of many segments ends there', async (how, code) => {
  const disk = new SimulatedDisk({ seed: 1 });
  append(logIn(disk.createStorageIo()), 60);
  let opened = 0;
  let reports = 0;
  const ending = new AbortController();
  const io = watched(disk.createStorageIo({ completesInline: false }), (call) => {
    if (call !== 'open' || ++opened !== 3) return;
    reports = 0;
    if (how === 'closed') tail.close();
    else ending.abort();
  });
  const onProgress = (): void => {
    reports++;
  };
  const tail: LogTail = new LogTail(io, DIRECTORY, how === 'closed' ? { onProgress } : { signal: ending.signal });
  await expect(tail.advance()).rejects.toMatchObject({ code });
  expect(opened).toBeLessThan(6);
  expect(reports).toBe(0);
  tail.close();
});

test('what a callback throws skips nothing, whatever error it is', () => {
  const io = createMemoryStorageIo();
  append(logIn(io), 40);
  turnsByLooks(5);
  const failure = new WalError('WAL_TRUNCATED', 'of another log', { lsn: 1, firstLsn: 30 });
  let calls = 0;
  const tail = new LogTail(io, DIRECTORY, {
    onTruncated: 'skip',
    onProgress: () => {
      if (++calls === 1) throw failure;
    },
  });
  const found: number[] = [];
  const read = (): void => {
    while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(r.lsn);
  };
  expect(thrown(read)).toBe(failure);
  read();
  expect([found, tail.skipped]).toEqual([lsns(1, 40), []]);
  tail.close();
});
