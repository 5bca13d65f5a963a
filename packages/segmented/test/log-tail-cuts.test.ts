import { WalError } from '@walstack/codec';
import { LogTail, type LogTailOptions, type ResumePoint } from '@walstack/mmap-reader';
import { SegmentedWal } from '@walstack/segmented';
import { createMemoryStorageIo, type StorageIo } from '@walstack/storage-io';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { turnsByLooks } from '../../../harness/test-kit/turn-clock.js';
import { TestEnvironment } from './support/environments.js';
import { DIRECTORY } from './support/logs.js';

const open: SegmentedWal[] = [];

function logIn(io: StorageIo, options: object = {}): SegmentedWal {
  const { options: environment } = new TestEnvironment(open.length + 1);
  const config = { directory: DIRECTORY, io, blockBytes: 512, segmentBytes: 2048, ...environment, ...options };
  const wal = SegmentedWal.openSync(config);
  open.push(wal);
  return wal;
}

afterEach(() => {
  for (const wal of open.splice(0)) wal.closeSync({ discard: true });
});

/** Appends records up to an LSN, whose payloads contain the generation of the log in which they were written. */
function fill(wal: SegmentedWal, upTo: number, life = 'a'): void {
  while (wal.lastLsn < upTo) wal.append(`${life}${wal.nextLsn}`);
  wal.syncSync();
}

const textOf = (payload: Uint8Array): string => Buffer.from(payload).toString();

/** Everything that there is to read now. */
function drain(tail: LogTail): string[] {
  const found: string[] = [];
  while (tail.advanceSync()) for (let r = tail.next(); r !== undefined; r = tail.next()) found.push(textOf(r.payload));
  return found;
}

function failureOf(tail: LogTail): WalError {
  try {
    drain(tail);
  } catch (error) {
    if (WalError.is(error)) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

/** A point as it comes out of a store of the application. */
const stored = (point: ResumePoint | undefined): ResumePoint => JSON.parse(JSON.stringify(point)) as ResumePoint;

describe('a tail says that what was given out was cut off', () => {
  const cutBack = (lsn: number, firstLsn = 1): object => ({
    code: 'WAL_TRUNCATED',
    reason: 'cut-back',
    lsn,
    firstLsn,
  });

  it('where the new records reach further than those that were given out', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, 10);
    using tail = new LogTail(io, DIRECTORY, { from: 11 });
    expect(drain(tail)).toEqual([]);
    wal.truncateAfterSync(5);
    fill(wal, 12, 'b');
    expect(failureOf(tail)).toMatchObject(cutBack(6));
  });

  it('when it begins at a resume point, whatever happened since', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, 10);
    using tail = new LogTail(io, DIRECTORY);
    drain(tail);
    const from = stored(tail.resumePoint);
    expect(from.lsn).toBe(11);
    wal.truncateAfterSync(5);
    using early = new LogTail(io, DIRECTORY, { from });
    expect(failureOf(early)).toMatchObject(cutBack(6));
    fill(wal, 12, 'b');
    using resumed = new LogTail(io, DIRECTORY, { from });
    expect(failureOf(resumed)).toMatchObject(cutBack(6));
    // A plain LSN says nothing of what stood before it.
    using plain = new LogTail(io, DIRECTORY, { from: 11 });
    expect(drain(plain)).toEqual(['b11', 'b12']);
  });

  it.each([
    ['at the LSN behind the last one', 10],
    ['behind it', 12],
  ])('where the segment of the new records was removed, and the next one begins %s', (_where, last) => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, last);
    using tail = new LogTail(io, DIRECTORY);
    drain(tail);
    wal.truncateAfterSync(5);
    fill(wal, 10, 'b');
    wal.truncateBeforeSync(11);
    fill(wal, 13, 'b');
    expect(wal.firstLsn).toBe(11);
    // Nothing is left that says where it was cut.
    expect(failureOf(tail)).toMatchObject(cutBack(1, 11));
  });

  it('with the first LSN that was replaced, where a later segment holds the place', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, 20);
    using tail = new LogTail(io, DIRECTORY);
    drain(tail);
    wal.truncateAfterSync(5);
    fill(wal, 12, 'b');
    wal.truncateAfterSync(12);
    for (let lsn = 13; lsn <= 90; lsn++) fill(wal, lsn, 'b'.repeat(200));
    expect(failureOf(tail)).toMatchObject(cutBack(6));
  });

  it('by a reset, also one that goes on with the LSN that comes next', () => {
    for (const lsn of [3, 10, 11]) {
      const io = createMemoryStorageIo();
      const wal = logIn(io);
      fill(wal, 10);
      using tail = new LogTail(io, DIRECTORY);
      drain(tail);
      wal.resetToSync(lsn);
      fill(wal, lsn + 5, 'b');
      expect(failureOf(tail)).toMatchObject(cutBack(1, lsn));
    }
  });

  it('where the log is another one', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, 10);
    using tail = new LogTail(io, DIRECTORY);
    drain(tail);
    const from = stored(tail.resumePoint);
    const other = createMemoryStorageIo();
    fill(logIn(other), 10, 'b');
    using resumed = new LogTail(other, DIRECTORY, { from });
    expect(failureOf(resumed)).toMatchObject(cutBack(1));
  });

  it('and goes on where nothing that was given out was', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, 10);
    using tail = new LogTail(io, DIRECTORY);
    drain(tail);
    fill(wal, 15);
    wal.truncateAfterSync(10);
    fill(wal, 12, 'b');
    expect(drain(tail)).toEqual(['b11', 'b12']);
    const from = stored(tail.resumePoint);
    wal.truncateBeforeSync(13);
    wal.closeSync();
    const again = logIn(io);
    fill(again, 14, 'c');
    using resumed = new LogTail(io, DIRECTORY, { from });
    expect(drain(resumed)).toEqual(['c13', 'c14']);
    expect(drain(tail)).toEqual(['c13', 'c14']);
  });

  it('but not of what was only to come', () => {
    const io = createMemoryStorageIo();
    const wal = logIn(io);
    fill(wal, 10);
    using ahead = new LogTail(io, DIRECTORY, { from: 30 });
    expect(drain(ahead)).toEqual([]);
    expect(ahead.resumePoint).toBeUndefined();
    for (let lsn = 11; lsn <= 35; lsn++) fill(wal, lsn, 'b'.repeat(200));
    expect(drain(ahead).length).toBe(6);
    expect(ahead.resumePoint?.lsn).toBe(36);
  });
});

it('a cut takes back what was proven behind it', () => {
  turnsByLooks(0);
  const io = createMemoryStorageIo();
  const wal = logIn(io);
  for (let lsn = 1; lsn <= 12; lsn++) fill(wal, lsn);
  using tail = new LogTail(io, DIRECTORY, { durableOnly: true });
  tail.advanceSync();
  for (let lsn = 1; lsn <= 5; lsn++) expect(tail.next()?.lsn).toBe(lsn);
  expect(tail.provenLsn).toBe(11);
  tail.putBack();
  wal.truncateAfterSync(7);
  for (const text of ['b8', 'b9']) wal.append(text);
  wal.flushSync();
  // Nothing proves that those behind it are durable.
  expect(drain(tail)).toEqual(['a5', 'a6', 'a7']);
  expect(tail.provenLsn).toBe(7);
  wal.syncSync();
  fill(wal, 10, 'b');
  expect(drain(tail)).toEqual(['b8', 'b9']);
});

it('a reported cut does not hide one from before the tail began', () => {
  const io = createMemoryStorageIo();
  const wal = logIn(io);
  fill(wal, 10);
  const point = wal.resumePointAt(11) as ResumePoint;
  wal.truncateAfterSync(5);
  fill(wal, 10, 'b');
  using tail = new LogTail(io, DIRECTORY, { from: point, durable: () => wal.durableLsn });
  tail.cutAfter(8);
  wal.truncateAfterSync(8);
  expect(failureOf(tail)).toMatchObject({ code: 'WAL_TRUNCATED', reason: 'cut-back', lsn: 6 });
});

it('a resume point that cannot be is refused', () => {
  const io = createMemoryStorageIo();
  const id = '00112233445566778899aabbccddeeff';
  const wrong: [unknown, string][] = [
    [{}, 'ERR_INVALID_ARG_TYPE'],
    [null, 'ERR_INVALID_ARG_TYPE'],
    [{ lsn: 0, segment: 1, id }, 'ERR_OUT_OF_RANGE'],
    [{ lsn: 1, segment: -1, id }, 'ERR_OUT_OF_RANGE'],
    [{ lsn: 1, segment: 1, id: 'x' }, 'ERR_OUT_OF_RANGE'],
    [{ lsn: 1, segment: 1, id: 5 }, 'ERR_INVALID_ARG_TYPE'],
    [{ lsn: 1, segment: 1, id, more: 1 }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [from, code] of wrong) {
    expect(() => new LogTail(io, DIRECTORY, { from } as LogTailOptions)).toThrow(expect.objectContaining({ code }));
  }
});

/** One record of a model log. */
interface Given {
  readonly lsn: number;
  readonly text: string;
  cut: boolean;
}

type Step =
  | { readonly do: 'append'; readonly count: number; readonly bytes: number }
  | { readonly do: 'after' | 'before' | 'reset'; readonly at: number }
  | { readonly do: 'reopen' | 'point' | 'plain' }
  | { readonly do: 'read'; readonly count: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      count: fc.integer({ min: 1, max: 12 }),
      bytes: fc.constantFrom(10, 300),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('after' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('before' as const), at: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('reset' as const), at: fc.double({ min: 0, max: 1.2, noNaN: true }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('reopen' as const, 'plain' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('point' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const), count: fc.integer({ min: 1, max: 30 }) }) },
);

/** A log, what was ever in it, and a reader with all that it has been given. */
class Model {
  readonly #io = createMemoryStorageIo();
  readonly #recycle: number;
  readonly #durableOnly: boolean;
  #wal: SegmentedWal;
  /** Everything that was ever in the log. */
  readonly #history: Given[] = [];
  #tail: LogTail;
  #has: Given[] = [];
  #life = 0;
  /** Whether it is always known where the log was cut: nothing was removed at its beginning, and it was not reset. */
  #isWhole = true;

  constructor(recycle: number, durableOnly: boolean) {
    this.#recycle = recycle;
    this.#durableOnly = durableOnly;
    this.#wal = logIn(this.#io, { recycleSegments: recycle });
    this.#tail = this.#tailFrom('first');
  }

  run(each: Step): void {
    const wal = this.#wal;
    switch (each.do) {
      case 'append':
        for (let count = 0; count < each.count; count++) {
          const text = `${this.#life++}`.padEnd(each.bytes, '.');
          this.#history.push({ lsn: wal.append(text), text, cut: false });
        }
        wal.syncSync();
        return;
      case 'after': {
        const lsn = wal.firstLsn - 1 + Math.round(each.at * (wal.lastLsn - wal.firstLsn + 1));
        // A segment without a predecessor is replaced as a whole: then nothing before it is in the log.
        wal.truncateAfterSync(lsn);
        for (const record of this.#history) if (record.lsn > lsn) record.cut = true;
        return;
      }
      case 'before':
        wal.truncateBeforeSync(wal.firstLsn + Math.round(each.at * (wal.nextLsn - wal.firstLsn)));
        if (wal.firstLsn > 1) this.#isWhole = false;
        return;
      case 'reset': {
        const lsn = Math.max(1, Math.round(each.at * wal.nextLsn));
        const isEmptyThere = wal.firstLsn === lsn && wal.nextLsn === lsn;
        wal.resetToSync(lsn);
        this.#isWhole = false;
        if (!isEmptyThere) for (const record of this.#history) record.cut = true;
        return;
      }
      case 'reopen':
        wal.closeSync();
        this.#wal = logIn(this.#io, { recycleSegments: this.#recycle });
        return;
      case 'point':
        this.#resume();
        return;
      case 'plain':
        this.#read(Number.POSITIVE_INFINITY);
        this.#resumePlainly(this.#tail.nextLsn ?? 1);
        return;
      case 'read':
        this.#read(each.count);
    }
  }

  end(): void {
    this.#resume();
    this.#read(Number.POSITIVE_INFINITY);
    this.#tail.close();
  }

  #tailFrom(from: LogTailOptions['from'] & {}): LogTail {
    return new LogTail(this.#io, DIRECTORY, { from, durableOnly: this.#durableOnly });
  }

  #resume(): void {
    const { resumePoint } = this.#tail;
    if (resumePoint === undefined) return;
    this.#tail.close();
    this.#tail = this.#tailFrom(stored(resumePoint));
  }

  /** Begins with a plain LSN: as if what stands before it in the log now had been given. */
  #resumePlainly(lsn: number): void {
    this.#tail.close();
    this.#tail = this.#tailFrom(lsn);
    this.#has = this.#history.filter((record) => !record.cut && record.lsn < lsn);
    this.#read(Number.POSITIVE_INFINITY);
  }

  /** Reads at most so many records, and holds what comes against what must come. */
  #read(count: number): void {
    try {
      for (let left = count; left > 0; ) {
        if (!this.#tail.advanceSync()) {
          const unsaid = this.#has.filter(({ cut }) => cut);
          if (unsaid.length > 0) expect(unsaid).toEqual([]);
          return;
        }
        for (let r = this.#tail.next(); r !== undefined; r = left > 0 ? this.#tail.next() : undefined) {
          const { lsn, payload } = r;
          const text = textOf(payload);
          const record = this.#history.find((each) => each.lsn === lsn && each.text === text);
          const last = this.#has.at(-1);
          if (record === undefined || (last !== undefined && lsn !== last.lsn + 1)) {
            expect({ lsn, text }).toBe('a record of the log, and the next one');
          } else this.#has.push(record);
          left--;
        }
      }
    } catch (error) {
      if (!WalError.is(error, 'WAL_TRUNCATED')) throw error;
      this.#truncated(error);
    }
  }

  #truncated({ lsn = 0, firstLsn, reason }: WalError): void {
    const first = this.#wal.firstLsn;
    expect(firstLsn).toBe(first);
    if (reason === 'cut-back') {
      const taken = this.#has.filter(({ cut }) => cut);
      // One that was resumed where the log begins is taken to have what came before.
      if (this.#has.length > 0) expect(lsn).toBeLessThanOrEqual((taken[0] as Given).lsn);
      if (this.#isWhole) expect(this.#has.filter((record) => record.lsn >= lsn)).toEqual(taken);
      this.#has = this.#has.filter((record) => record.lsn < lsn);
    } else expect(first).toBeGreaterThan(this.#tail.nextLsn as number);
    if (reason === 'cut-back' && first <= lsn) this.#resumePlainly(lsn);
    else this.#resumePlainly(first);
  }
}

describe('a reader that is resumed at any time', () => {
  it.each([
    [0, false],
    [2, false],
    [0, true],
  ])('has what is in the log, or is told, with %d files for reuse and durableOnly: %s', (recycle, durableOnly) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const model = new Model(recycle, durableOnly);
        for (const each of steps) model.run(each);
        model.end();
        for (const wal of open.splice(0)) wal.closeSync({ discard: true });
      }),
      { numRuns: 120 },
    );
  });
});

it.each(['lsn', 'segment', 'id'])('a resume point without its %s is refused as none', (name) => {
  const { [name]: _, ...from } = { lsn: 1, segment: 1, id: '0'.repeat(32) } as Record<string, unknown>;
  expect(() => new LogTail(createMemoryStorageIo(), DIRECTORY, { from: from as never })).toThrow(
    expect.objectContaining({
      code: 'ERR_INVALID_ARG_TYPE',
      message: expect.stringContaining('a resume point with lsn, segment and id'),
    }),
  );
});
